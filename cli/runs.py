"""``gradlens runs [FOLDER]``."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path

import click

from gradlens.numbers import TERMINAL, format_number

from .folders import Run, runs_in
from .layout import Block, bold, plain
from .options import FILE
from .output import RUNS
from .terminal import coloured, say, shortened, tell, width, wrapped


@click.command("runs")
@click.argument("folder", type=FILE, default=RUNS)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects instead of the table.")
def list_runs(folder: Path, as_json: bool) -> None:
    """List the saved runs in a folder and its subfolders, newest first.

    Each is listed with its kind, time, size, networks and finding; on a terminal the finding is cut to
    the window. Damaged runs are reported after the others.

    \b
    Examples:
      gradlens runs
      gradlens runs experiments/ --json
    """
    runs = runs_in(folder) if folder != RUNS or folder.exists() else []
    if as_json:
        click.echo(json.dumps([run.document() for run in runs], indent=2))
        return
    if not runs:
        say(f"no run in {folder}; `gradlens inspect MODEL` or `gradlens compare A B` makes one")
        return
    _print_readable([run for run in runs if not run.problem])
    for run in runs:
        if run.problem:
            tell("warning", f"{run.folder}: {run.problem}", err=True)


def _print_readable(runs: list[Run]) -> None:
    """Print three lines per run: its facts, its networks and its finding."""
    if not runs:
        return
    rows = [
        [str(run.folder), run.kind, time_of(run), format_number(run.size, "bytes", TERMINAL)] for run in runs
    ]
    head, *facts = plain(Block(["run", "kind", "when", "size"], rows)).split("\n")
    colour = coloured(sys.stdout)
    click.echo(bold(wrapped(head, width(sys.stdout), indent="  "), colour), color=colour)
    for run, line in zip(runs, facts, strict=True):
        say(line, indent="  ")
        partial = " (partial: it was interrupted)" if run.partial else ""
        say(f"  {', '.join(run.networks)}{partial}", indent="  ")
        click.echo(shortened(run.finding, sys.stdout, indent="  "))


def time_of(run: Run) -> str:
    """Return when a run was made, in local time to the minute."""
    return datetime.fromtimestamp(run.when).strftime("%Y-%m-%d %H:%M")
