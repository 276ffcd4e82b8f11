"""``gradlens report RUN``."""

from __future__ import annotations

from pathlib import Path

import click

from .completion import RunFolder
from .labels import LABELS
from .options import FILE
from .output import destination, publish, redraw


@click.command("report")
@click.argument("run", type=RunFolder())
@click.option(
    "--out",
    type=FILE,
    default=None,
    metavar="DIR",
    help="Write it to this folder; by default to RUN itself.",
)
@LABELS
@click.option("--force", is_flag=True, help="Replace the run that is in DIR.")
def redraw_report(run: Path, out: Path | None, labels: dict[str, str], force: bool) -> None:
    """Draw the report of a saved run again, without measuring anything.

    RUN is the folder that a measuring command wrote, or one that a watched training logs into, also
    while it runs. Its page, figures and tables are replaced, its result and its rows stay unchanged.

    \b
    Examples:
      gradlens report runs/compare-resnet50-cspresnet50-20250102-101500
      gradlens report runs/first --label cspresnet50=ours
      gradlens report flow
    """
    target = None if out is None else destination(out, "report", force)
    from gradlens.watching.reading import load

    result = load(run).relabelled(labels)
    page = redraw(result, run) if target is None else publish(result, target)
    click.echo(f"report: {page}", err=True)
