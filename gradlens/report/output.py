"""Write a result to disk: data, tables, figures and the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gradlens.errors import GradlensError
from gradlens.report.drawing import figures, save_figures
from gradlens.report.page import page
from gradlens.results import Result

PAGE = "report.html"


def write(
    result: Result, folder: str | Path, run: str | None = None, wording: Callable[[str], str] = str
) -> Path:
    """Save a result with its figures and its page.

    ``folder`` then holds ``result.json``, ``tables/*.csv``, ``figures/*.png``, ``figures/*.svg``
    and ``report.html``.

    Args:
        result: the result to write.
        folder: the folder, created if it is missing.
        run: name of the run in the commands on the page; by default the name of the folder.
        wording: translates messages that name Python parameters; the command line replaces them by its options.

    Returns:
        The path of ``report.html``.

    Raises:
        GradlensError: the folder cannot be written.
    """
    folder = Path(folder)
    result.save(folder)
    images = save_figures(figures(result), folder / "figures")
    path = folder / PAGE
    try:
        text = page(result, images, run or folder.resolve().name, wording)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")  # file names need not be UTF-8
    except OSError as error:
        raise GradlensError(f"cannot write {path}: {error.strerror}; give another folder") from error
    return path
