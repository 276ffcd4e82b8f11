"""Progress on stderr: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Progress = Callable[[str, int, int], None]  # name of the step, number of units done, their total

ROOMY = 80  # columns; narrower terminals show neither bar nor times
QUIET_SECONDS = 10.0  # seconds without a line in a long step


class PlainProgress:
    """Print a line when the step changes or the last step ends, and every ten seconds during a long step."""

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._start = self._written = clock()
        self._step: str | None = None
        self._done = 0

    def __call__(self, step: str, done: int, total: int) -> None:
        """Report ``done`` of ``total``; a lower count than before restarts the estimate of the remaining time."""
        now = self._clock()
        if done < self._done:
            self._start = now
        due = step != self._step or done >= total > self._done or now - self._written >= QUIET_SECONDS
        self._step, self._done = step, done
        if due:
            self._written = now
            self._write(f"{step}  {done}/{total}  {times(now - self._start, done, total)}")


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """Yield a progress callback for the block."""
    if not sys.stderr.isatty():
        yield PlainProgress(lambda line: click.echo(line, err=True))
        return
    with _bar() as progress:
        yield progress


def times(elapsed: float, done: int, total: int) -> str:
    """Return elapsed and estimated remaining time, assuming that every unit takes as long as those done.

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
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(stderr=True)
    # an explicit Column wraps long names between words, the default one truncates them
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False, table_column=Column()),
        MofNCompleteColumn(),
    ]
    if console.width >= ROOMY:
        columns[1:1] = [BarColumn()]
        columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def progress(step: str, done: int, total: int) -> None:
            if done < bar.tasks[0].completed:
                bar.reset(task)
            bar.update(task, description=step, completed=done, total=total)

        yield progress
