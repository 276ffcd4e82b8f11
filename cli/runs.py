"""``gradlens runs [FOLDER]``."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

import click

from .folders import Run, runs_in
from .layout import Block, bold, plain
from .options import FILE
from .output import RUNS
from .terminal import coloured, say, shortened, tell, width, wrapped


@click.command("runs")
@click.argument("folder", type=FILE, default=RUNS)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects instead of the table.")
def list_runs(folder: Path, as_json: bool) -> None:
    """List the saved runs in a folder and the folders in it, newest first.

    Each with its kind, time, size, networks and finding, which is cut to the window on a terminal and
    whole in a pipe. A damaged run is named with what is wrong and stops nothing.

    \b
    Examples:
      gradlens runs
      gradlens runs experiments/ --json
    """
    found = runs_in(folder) if folder != RUNS or folder.exists() else []
    if as_json:
        click.echo(json.dumps([run.document() for run in found], indent=2))
        return
    if not found:
        say(f"no run in {folder}; `gradlens inspect MODEL` or `gradlens compare A B` makes one")
        return
    _print_whole([run for run in found if not run.problem])
    for run in found:
        if run.problem:
            tell("warning", f"{run.folder}: {run.problem}", err=True)


def _print_whole(runs: list[Run]) -> None:
    """Each run as a line of facts, and under it its networks and its finding in a line each."""
    if not runs:
        return
    rows = [[str(run.folder), run.kind, time_of(run), size(run.size)] for run in runs]
    head, *facts = plain(Block(["run", "kind", "when", "size"], rows)).split("\n")
    colour = coloured(sys.stdout)
    click.echo(bold(wrapped(head, width(sys.stdout), indent="  "), colour), color=colour)
    for run, line in zip(runs, facts, strict=True):
        say(line, indent="  ")
        cut = " (partial: it was cut)" if run.partial else ""
        say(f"  {', '.join(run.networks)}{cut}", indent="  ")
        click.echo(shortened(run.finding, sys.stdout, indent="  "))


def time_of(run: Run) -> str:
    """When a run was made, in local time to the minute."""
    return datetime.fromtimestamp(run.when).strftime("%Y-%m-%d %H:%M")


def size(count: float) -> str:
    """Bytes for a reader.

    >>> size(512), size(2048), size(5 * 2**20)
    ('512 B', '2.0 KiB', '5.0 MiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
