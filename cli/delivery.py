"""Run a measurement and turn its result into a summary, a report and an exit code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradlens.words.brief import all_in_brief

from .collecting import resuming
from .interrupts import interrupts
from .options import COMMAND_LINE
from .output import Destination, destination, publish
from .progress import Progress
from .screen import show
from .terminal import tell
from .voice import Diary, Voice, progress_on_stderr, settings, surroundings, voice_of, warnings_as_notes
from .wording import in_options

if TYPE_CHECKING:
    from gradlens.results import Result


@dataclass(frozen=True)
class Delivery:
    """Where and how a command writes its result.

    Attributes:
        what: name of the default folder without the time stamp.
        out: the requested folder, or None for the default one.
        force: replace a run in that folder.
        as_json: print the whole result instead of the summary.
        cells: folder of the finished cells, removed once the run is complete.
        everything: print all tables instead of one.
        top: number of sites to print of each network; None is the usual number.
        pairs: number of pairs of networks whose differences are corrected together.
    """

    what: str
    out: Path | None
    force: bool
    as_json: bool
    cells: Path | None = None
    everything: bool = False
    top: int | None = None
    pairs: int = 0


def deliver(ctx: click.Context, measure: Callable[[Progress], Result], delivery: Delivery) -> None:
    """Check the folder, measure, write the report and print the summary.

    After Ctrl-C the report holds the finished part, marked as partial, and the exit code is 1; if nothing was
    finished, nothing is written.
    """
    voice = voice_of(ctx)
    diary = Diary(voice)
    target = destination(delivery.out, delivery.what, delivery.force)
    values = {str(p.name): ctx.params[p.name] for p in ctx.command.params if p.name in ctx.params}
    diary.note(f"{ctx.command.name}: {settings(values)}")
    doubt = _doubt(ctx, delivery) if voice is not Voice.QUIET else ""
    with interrupts() as ctrl_c:
        try:
            with warnings_as_notes(voice), progress_on_stderr(voice) as progress, diary.timed("measured"):
                result = measure(resuming(ctrl_c.checked(_first_saying(doubt, diary.watching(progress)))))
        except (KeyboardInterrupt, Exception):
            if not ctrl_c.pressed():
                raise
            tell("interrupted", f"{ctrl_c.dropped}{_how_to_resume(delivery)}", err=True)
            ctx.exit(1)
        ctrl_c.measured = True
        described = result.with_meta(command=ctx.meta[COMMAND_LINE])
        drawn = _deliver(described, target, delivery, diary, hurried=ctrl_c.count > 1)
    _end(ctx, result, delivery)
    if not drawn:
        ctx.exit(1)


def _deliver(result: Result, target: Destination, delivery: Delivery, diary: Diary, hurried: bool) -> bool:
    """Write the report, unless ``hurried``, and print the summary; return whether the report was drawn."""
    diary.note(surroundings())
    voice = diary.voice
    _warn(result, voice)
    page = None
    try:
        if hurried:
            raise KeyboardInterrupt
        with diary.timed(f"{len(result.tables)} tables written and drawn"):
            page = publish(result, target)
        if voice is not Voice.QUIET:
            click.echo(f"report: {page}", err=True)
        elif not delivery.as_json:
            click.echo(page)
    except KeyboardInterrupt:
        folder = publish(result, target, drawn=False).parent
        click.echo(f"not drawn: {folder}; `gradlens report {folder}` draws it", err=True)
        return False
    finally:  # print the numbers even if the report cannot be written
        if delivery.as_json:
            click.echo(result.to_json())
        elif voice is not Voice.QUIET or page is None:
            show(result, everything=delivery.everything, top=delivery.top)
    return True


def _doubt(ctx: click.Context, delivery: Delivery) -> str:
    """Return a note if the seeds are too few for the correction; else empty."""
    if not delivery.pairs:
        return ""
    from gradlens.words.power import too_few_seeds

    return too_few_seeds(ctx.params["seeds"], delivery.pairs)


def _first_saying(note: str, progress: Progress) -> Progress:
    """Return the same callback, which prints a note before the first report: every network runs by then."""
    left = [note] if note else []

    def advance(what: str, done: int, total: int) -> None:
        if left:
            tell("note", in_options(left.pop()), err=True)
        progress(what, done, total)

    return advance


def _warn(result: Result, voice: Voice) -> None:
    """Print what warnings say first and what to do, equal ones of several networks once; verbose: all of each."""
    from gradlens.words.power import is_about_power
    from gradlens.words.samples import is_note

    if voice is Voice.QUIET:
        return
    new = [text for text in result.warnings if not is_about_power(text)]  # that was said before the run
    for text in result.warnings if voice is Voice.VERBOSE else all_in_brief(new):
        tell("note" if is_note(text) else "warning", in_options(text), err=True)


def _end(ctx: click.Context, result: Result, delivery: Delivery) -> None:
    """Exit with code 1 if the run was interrupted; remove the cells of a complete run."""
    if result.provenance.partial:
        message = "the result is partial: it holds only what was finished"
        tell("interrupted", message + _how_to_resume(delivery), err=True)
        ctx.exit(1)
    if delivery.cells is not None:
        shutil.rmtree(delivery.cells, ignore_errors=True)


def _how_to_resume(delivery: Delivery) -> str:
    if delivery.cells is None or not delivery.cells.exists():
        return ""
    return f"; continue with --resume --out {delivery.out}"
