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
from .progress import Progress
from .summary import show
from .terminal import tell
from .voice import Diary, Voice, progress_on_stderr, settings, surroundings, voice_of, warnings_told

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
    voice = voice_of(ctx)
    diary = Diary(voice)
    place = destination(delivery.out, delivery.what, delivery.force)
    ordered = {str(p.name): ctx.params[p.name] for p in ctx.command.params if p.name in ctx.params}
    diary.note(f"{ctx.command.name}: {settings(ordered)}")
    try:
        with warnings_told(voice), progress_on_stderr(voice) as progress, diary.timed("measured"):
            result = measure(diary.watching(progress))
    except KeyboardInterrupt:
        tell("interrupted", f"nothing was finished{_how_to_go_on(delivery)}", err=True)
        ctx.exit(1)
    result = result.with_meta(command=ctx.meta[COMMAND_LINE])
    diary.note(surroundings())
    for text in result.warnings if voice is not Voice.QUIET else ():
        tell("warning", text, err=True)
    page = None
    try:
        with diary.timed(f"{len(result.tables)} tables written and drawn"):
            page = publish(result, place)
        if voice is not Voice.QUIET:
            click.echo(f"report: {page}", err=True)
        elif not delivery.as_json:
            click.echo(page)
    finally:  # a full disk must not cost the numbers as well
        if delivery.as_json:
            click.echo(result.to_json())
        elif voice is not Voice.QUIET or page is None:
            show(result)
            if delivery.top:
                print_diagnosis(result, delivery.top)
    _end(ctx, result, delivery)


def _end(ctx: click.Context, result: Result, delivery: Delivery) -> None:
    """Exit code 1 where the run was cut; the cells of a whole one are no longer needed."""
    if result.meta.get("partial"):
        told = "the result is partial, it holds what was finished"
        tell("interrupted", told + _how_to_go_on(delivery), err=True)
        ctx.exit(1)
    if delivery.cells is not None:
        shutil.rmtree(delivery.cells, ignore_errors=True)


def _how_to_go_on(delivery: Delivery) -> str:
    if delivery.cells is None or not delivery.cells.exists():
        return ""
    return f"; --resume --out {delivery.out} goes on where it stopped"
