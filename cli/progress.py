"""Progress on stderr: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many

ROOMY = 80  # columns of a terminal that takes the bar and the times beside the names
QUIET_SECONDS = 10.0  # a step that lasts longer says so again


class PlainProgress:
    """One line when the step changes or the last one ends, and one every ten seconds in a long step."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._start = self._said = clock()
        self._what: str | None = None
        self._done = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Take note of ``done`` of ``total``; a count that falls starts a new estimate."""
        now = self._clock()
        if done < self._done:
            self._start = now
        due = what != self._what or done >= total > self._done or now - self._said >= QUIET_SECONDS
        self._what, self._done = what, done
        if due:
            self._said = now
            self._write(f"{what}  {done}/{total}  {times(now - self._start, done, total)}")


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """A progress callable for as long as the block lasts."""
    if not sys.stderr.isatty():
        yield PlainProgress(lambda line: click.echo(line, err=True))
        return
    with _bar() as progress:
        yield progress


def times(elapsed: float, done: int, total: int) -> str:
    """Elapsed and estimated remaining time, if the steps to come take as long as those done.

    >>> times(20, 1, 4)
    'elapsed 0:20, about 1:00 left'
    """
    text = f"elapsed {_clock_time(elapsed)}"
    if 0 < done < total:
        text += f", about {_clock_time(elapsed / done * (total - done))} left"
    return text


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(stderr=True)
    # a Column of one's own wraps long names between words, the default one cuts them
    columns: list[Any] = [
        TextColumn("{task.description}", markup=False, table_column=Column()),
        MofNCompleteColumn(),
    ]
    if console.width >= ROOMY:
        columns[1:1] = [BarColumn()]
        columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def progress(what: str, done: int, total: int) -> None:
            if done < bar.tasks[0].completed:
                bar.reset(task)
            bar.update(task, description=what, completed=done, total=total)

        yield progress
