"""``gradlens open RUN``."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from .completion import RunFolder
from .output import PAGE, READABLE, looking_at, redraw
from .terminal import tell


@click.command("open")
@click.argument("run", type=RunFolder())
def open_page(run: Path) -> None:
    """Open the page of a run in the browser; draw it first where it is missing.

    RUN is the folder of a run, or the newest run in it where it holds several. The path of the page
    goes to stdout, also where there is no browser.

    \b
    Examples:
      gradlens open runs/first
      gradlens open runs
    """
    with looking_at(run, READABLE):
        folder = newest(run)
        page = folder / PAGE
        drawn = page.is_file()
    if not drawn:
        from gradlens.results import load

        page = redraw(load(folder), folder, f"`gradlens report {folder} --out DIR` draws it elsewhere")
    click.echo(page)
    if not browsed(page):
        tell(
            "note",
            "there is no browser here; open the path above, or copy that one file to where there is one",
            err=True,
        )


def newest(run: Path) -> Path:
    """The folder itself where it is a run or holds none, else the newest whole run in it."""
    from .folders import runs_in
    from .output import RESULT

    if (run / RESULT).is_file() or not run.is_dir():
        return run
    return next((found.folder for found in runs_in(run) if not found.problem), run)


def browsed(page: Path) -> bool:
    """Whether a browser took the page."""
    try:
        return webbrowser.open(page.resolve().as_uri())
    except webbrowser.Error:
        return False
