"""Progress of a long call: the caller's own, or one line that a notebook shows by itself."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, of how many."""

PATIENCE = 0.5  # seconds: a shorter call shows nothing
PAUSE = 0.1  # seconds between two changes of the line: browsers need no more


@contextmanager
def told(wanted: Progress | bool | None) -> Iterator[Progress | None]:
    """Where progress goes for as long as the block lasts, or None for nowhere.

    In a notebook one line stands under the cell while the block runs, and is emptied when it ends,
    also by an exception. Elsewhere nothing is shown, whatever is wanted.

    Args:
        wanted: a callable takes all; ``False`` shows nothing; ``None`` and ``True`` leave it to where
            this runs.
    """
    if callable(wanted):
        yield wanted
        return
    shell = None if wanted is False else notebook_shell()
    if shell is None:
        yield None
        return
    line = NotebookLine(_writer(shell))
    try:
        yield line
    finally:
        line.close()


def notebook_shell() -> Any:
    """IPython's shell where it serves a notebook, else None; never imports IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None


class NotebookLine:
    """One line of HTML that is written over and over, and emptied at the end.

    Args:
        write: takes the line; the empty string takes it away.
        clock: seconds.
    """

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._start = clock()
        self._said: float | None = None
        self._what = ""
        self._done = 0
        self._since = self._start

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show ``done`` of ``total``; a count that falls starts a new estimate of the time left."""
        now = self._clock()
        if done < self._done:
            self._since = now
        fresh = self._said is None or what != self._what or now - self._said >= PAUSE
        self._what, self._done = what, done
        if fresh and now - self._start >= PATIENCE:
            self._said = now
            self._write(_line(what, done, total, now - self._since))

    def close(self) -> None:
        """Take the line away, where there is one."""
        if self._said is not None:
            self._said = None
            self._write("")


def _line(what: str, done: int, total: int, elapsed: float) -> str:
    left = f", about {_clock_time(elapsed / done * (total - done))} left" if 0 < done < total else ""
    return (
        f'<progress value="{done}" max="{max(total, 1)}"></progress> '
        f"{html.escape(what)} {done}/{total}, {_clock_time(elapsed)}{left}"
    )


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


_SHOWN: dict[int, Any] = {}
"""The display of the cell that runs, by its number: many calls in one cell share one line."""


def _writer(shell: Any) -> Callable[[str], None]:
    from IPython.display import display

    def write(line: str) -> None:
        page = {"text/html": line, "text/plain": ""}
        cell = int(shell.execution_count)
        if cell in _SHOWN:
            _SHOWN[cell].update(page, raw=True)
        elif line:
            _SHOWN.clear()
            _SHOWN[cell] = display(page, raw=True, display_id=True)

    return write
