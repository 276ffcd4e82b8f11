"""Run folders: checked before the work, complete or absent after it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gradlens.errors import GradlensError

from .collecting import uncollected
from .wording import in_options

if TYPE_CHECKING:
    from gradlens.results import Result

RUNS = Path("runs")
RESULT = "result.json"  # its presence makes a folder a run
PAGE = "report.html"
LONGEST = 80
READABLE = "ask for the right to read it, or give another folder"
ELSEWHERE = "give another --out DIR"


@dataclass(frozen=True)
class Destination:
    """The folder for a run, checked to be free or replaceable."""

    folder: Path
    force: bool


def slug(command: str, *models: str) -> str:
    """Return a name for a run folder.

    >>> slug("compare", "torchvision:resnet50", "nets/mine.py:build")
    'compare-torchvision-resnet50-mine-build'
    """
    names = [re.sub(r"\.py\b", "", re.split(r"[/\\]", model)[-1]) for model in models]
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join([command, *names])).strip("-.")[:LONGEST]


def default_folder(what: str) -> Path:
    """Return a free folder for a run, named by its content and the time."""
    return free_name(RUNS / f"{what}-{datetime.now():%Y%m%d-%H%M%S}")


def cells_folder(run: Path) -> Path:
    """Return the folder that keeps the finished cells of a run until it is published."""
    return run.with_name(f".{run.name}.cells")


def destination(out: Path | None, what: str, force: bool) -> Destination:
    """Choose and check the folder of a run, before any work is done.

    Raises:
        GradlensError: it exists and may not be replaced, or cannot be written.
    """
    folder = out if out is not None else default_folder(what)
    with accessing(folder, ELSEWHERE):
        _require_replaceable(folder, force)
        _require_writable(folder)
    return Destination(folder, force)


def _require_replaceable(folder: Path, force: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise GradlensError(f"{folder} is a file; give a folder with --out DIR")
    if _filled(folder):
        if not force:
            raise GradlensError(
                f"{folder} exists and is not empty; give another --out DIR, or --force to replace it"
            )
        if not (folder / RESULT).is_file():
            raise GradlensError(
                f"{folder} holds files but no gradlens run ({RESULT} is missing), and --force replaces only runs;"
                " give another --out DIR"
            )
        inner = next((path.parent for path in folder.rglob(RESULT) if path.parent != folder), None)
        if inner is not None:
            raise GradlensError(
                f"{folder} holds another run, {inner}, which --force would remove; move it, or {ELSEWHERE}"
            )


@uncollected()
def publish(result: Result, target: Destination, *, drawn: bool = True) -> Path:
    """Write a complete run, move it to its folder, and return the path of its page.

    If another program has filled the folder meanwhile, the run takes the next free name. Without ``drawn``, only
    the result is written, and its path is returned.

    Raises:
        GradlensError: it cannot be written; no files remain then.
    """
    from gradlens.report import write

    folder = target.folder
    with _staging(folder) as staging:
        page = Path(RESULT)
        if drawn:
            page = write(result, staging, _shown_name(folder), _wording(result)).relative_to(staging)
        else:
            result.save(staging)
        if _filled(folder):
            if target.force:
                _swap(staging, folder)
                return folder / page
            folder = free_name(folder)
        if folder.exists():
            folder.rmdir()
        os.replace(staging, folder)
    return folder / page


@uncollected()
def redraw(result: Result, run: Path, advice: str = ELSEWHERE) -> Path:
    """Replace the page, figures and tables of a run, file by file; its result stays untouched.

    ``advice`` completes the error message if the run cannot be written.

    Raises:
        GradlensError: it cannot be written; the run is as before unless moving the files failed.
    """
    from gradlens.report import write

    with _staging(
        run / "report", advice
    ) as staging:  # inside the run, the only folder that has to be writable
        page = write(result, staging, _shown_name(run), _wording(result)).relative_to(staging)
        files = [path.relative_to(staging) for path in sorted(staging.rglob("*")) if path.is_file()]
        for file in sorted(
            files, key=lambda path: path == page
        ):  # the page last, after the files that it needs
            if file != Path(RESULT):
                (run / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staging / file, run / file)
    return run / page


def _shown_name(folder: Path) -> str:
    """Return the path of a run for the commands on its page: of an absolute path the name, as a page may be moved."""
    return folder.resolve().name if folder.is_absolute() else str(folder)


def _wording(result: Result) -> Callable[[str], str]:
    """Return the wording of messages on the page: options of the command line if a command made the result."""
    return partial(in_options, running=result.provenance.kind) if result.provenance.command else str


def free_name(folder: Path) -> Path:
    """Return ``folder``, or the first of ``folder-2``, ``folder-3``, ... that does not exist."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


@contextmanager
def accessing(path: Path, advice: str) -> Iterator[None]:
    """Turn an OSError of the block into a message about ``path`` that ends with ``advice``.

    Raises:
        GradlensError: the path cannot be accessed.
    """
    try:
        yield
    except OSError as error:
        raise GradlensError(f"cannot access {path}: {error.strerror or error}; {advice}") from error


@contextmanager
def _staging(folder: Path, advice: str = ELSEWHERE) -> Iterator[Path]:
    """Yield a hidden folder next to ``folder``, which is removed after the block unless it was moved away."""
    folder = folder.resolve()
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        staging.mkdir(parents=True)
        yield staging
    except OSError as error:
        raise GradlensError(f"cannot write {folder}: {error.strerror or error}; {advice}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _swap(staging: Path, folder: Path) -> None:
    """Replace ``folder`` by ``staging``, and remove the old one only after that."""
    folder = folder.resolve()
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    os.replace(folder, old)
    try:
        os.replace(staging, folder)
    except BaseException:
        os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _filled(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise GradlensError(f"cannot read {folder}: {error.strerror}; give another --out DIR") from error


def _require_writable(folder: Path) -> None:
    """Try to make a folder next to ``folder``: permission bits alone do not show whether that works."""
    parent = folder.resolve().parent
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".gradlens-", dir=parent):
            pass
    except OSError as error:
        raise GradlensError(
            f"cannot write {folder}: {parent}: {error.strerror}; give another --out DIR"
        ) from error
