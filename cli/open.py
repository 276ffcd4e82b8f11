"""``gradlens open RUN``."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from .completion import RunFolder
from .output import PAGE, READABLE, accessing, redraw
from .terminal import tell


@click.command("open")
@click.argument("run", type=RunFolder())
def open_page(run: Path) -> None:
    """Open the page of a run in the browser; write the report first if it is missing.

    RUN is the folder of a run, or a folder of runs, of which the newest is opened. The page of a
    watched training is always written again. The path of the page goes to stdout, also if there is
    no browser.

    \b
    Examples:
      gradlens open runs/first
      gradlens open runs
    """
    with accessing(run, READABLE):
        folder = newest(run)
        page = folder / PAGE
        exists = page.is_file() and not _grows(folder)
    if not exists:
        from gradlens.watching.reading import load

        page = redraw(load(folder), folder, f"`gradlens report {folder} --out DIR` draws it elsewhere")
    click.echo(page)
    if not opened(page):
        tell(
            "note",
            "no browser is available; open the path above, or copy that file to a machine with a browser",
            err=True,
        )


def _grows(folder: Path) -> bool:
    """Return whether a folder is that of a watched training, whose page may be older than its rows."""
    from .output import RESULT

    if (folder / RESULT).is_file():
        return False
    from gradlens.watching.logs import has_rows

    return has_rows(folder)


def newest(run: Path) -> Path:
    """Return the folder itself if it is a run or holds none, else the newest complete run in it."""
    from .folders import runs_in
    from .output import RESULT

    if (run / RESULT).is_file() or not run.is_dir():
        return run
    return next((saved.folder for saved in runs_in(run) if not saved.problem), run)


def opened(page: Path) -> bool:
    """Open the page in a browser, and return whether there is one."""
    try:
        return webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return False
