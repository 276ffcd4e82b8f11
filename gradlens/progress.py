"""Progress of a long call: reported to the caller's callback, or shown as one line in a notebook."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

Progress = Callable[[str, int, int], None]
"""Called with the name of the step, the number of units done, and their total."""


class Shell(Protocol):
    """IPython's shell."""

    execution_count: int


class Display(Protocol):
    """IPython's handle of a displayed object."""

    def update(self, page: dict[str, str], *, raw: bool) -> object:
        """Replace the displayed content."""


PATIENCE = 0.5  # seconds; shorter calls show nothing
PAUSE = 0.1  # seconds between two updates of the line; browsers need no more


@contextmanager
def progress_callback(requested: Progress | bool | None) -> Iterator[Progress | None]:
    """Yield the progress callback to use, or None.

    In a notebook, one line appears under the cell while the block runs and is cleared when it ends, also by an
    exception. Elsewhere nothing is shown.

    Args:
        requested: a callback to use; ``False`` shows nothing; ``None`` and ``True`` show a line in a notebook.
    """
    if callable(requested):
        yield requested
        return
    shell = None if requested is False else notebook_shell()
    if shell is None:
        yield None
        return
    line = NotebookLine(_writer(shell))
    try:
        yield line
    finally:
        line.close()


def notebook_shell() -> Shell | None:
    """Return IPython's shell if it serves a notebook, else None; never import IPython."""
    ipython = sys.modules.get("IPython")
    shell: Shell | None = None if ipython is None else ipython.get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None


class NotebookLine:
    """One line of HTML that is updated in place and cleared at the end.

    Args:
        write: displays the line; the empty string clears it.
        clock: returns seconds.
    """

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._start = clock()
        self._written: float | None = None
        self._step = ""
        self._done = 0
        self._since = self._start

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show ``done`` of ``total``; a lower count than before restarts the estimate of the remaining time."""
        now = self._clock()
        if done < self._done:
            self._since = now
        due = self._written is None or step != self._step or now - self._written >= PAUSE
        self._step, self._done = step, done
        if due and now - self._start >= PATIENCE:
            self._written = now
            self._write(_line(step, done, total, now - self._since))

    def close(self) -> None:
        """Clear the line if one was written."""
        if self._written is not None:
            self._written = None
            self._write("")


def _line(step: str, done: int, total: int, elapsed: float) -> str:
    left = f", about {_clock_time(elapsed / done * (total - done))} left" if 0 < done < total else ""
    return (
        f'<progress value="{done}" max="{max(total, 1)}"></progress> '
        f"{html.escape(step)} {done}/{total}, {_clock_time(elapsed)}{left}"
    )


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


_SHOWN: dict[int, Display] = {}
"""The display of the running cell, by the cell's number: all calls in one cell share one line."""


def _writer(shell: Shell) -> Callable[[str], None]:
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
