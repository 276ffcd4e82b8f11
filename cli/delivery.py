"""From a measurement to what the user gets: a summary, a report, an exit code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .diagnosis import print_diagnosis
from .options import COMMAND_LINE
from .output import destination, publish
from .progress import Progress, progress_on_stderr
from .summary import show

if TYPE_CHECKING:
    from gradlens.results import Result


@dataclass(frozen=True)
class Delivery:
    """Where a result goes.

    Attributes:
        what: name of the default folder, without the time.
        out: folder that was asked for.
        force: replace a run that is there.
        as_json: the whole result on stdout instead of the summary.
        top: places of each kind to print, None for none.
        cells: folder of finished cells that a cut run leaves, removed when the run is whole.
    """

    what: str
    out: Path | None
    force: bool
    as_json: bool
    cells: Path | None = None
    top: int | None = None


def deliver(ctx: click.Context, measure: Callable[[Progress], Result], delivery: Delivery) -> None:
    """Check the folder, measure, write the report and print the summary.

    Ctrl-C leaves what was finished, marked as partial, and exit code 1; nothing where nothing was.
    """
    place = destination(delivery.out, delivery.what, delivery.force)
    try:
        with progress_on_stderr() as progress:
            result = measure(progress)
    except KeyboardInterrupt:
        click.echo(f"interrupted: nothing was finished{_how_to_go_on(delivery)}", err=True)
        ctx.exit(1)
    result = result.with_meta(command=ctx.meta[COMMAND_LINE])
    for text in result.warnings:
        click.echo(f"warning: {text}", err=True)
    try:
        page = publish(result, place)
        click.echo(f"report: {page}", err=True)
    finally:  # a full disk must not cost the numbers as well
        if delivery.as_json:
            click.echo(result.to_json())
        else:
            show(result)
            if delivery.top:
                print_diagnosis(result, delivery.top)
    if result.meta.get("partial"):
        told = "interrupted: the result is partial, it holds what was finished"
        click.echo(told + _how_to_go_on(delivery), err=True)
        ctx.exit(1)
    if delivery.cells is not None:
        shutil.rmtree(delivery.cells, ignore_errors=True)


def _how_to_go_on(delivery: Delivery) -> str:
    if delivery.cells is None or not delivery.cells.exists():
        return ""
    return f"; --resume --out {delivery.out} goes on where it stopped"
