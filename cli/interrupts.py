"""Ctrl-C: answered at once; the first ends the measurement, the second leaves with what was finished."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .progress import Progress

STOPPING = "stopping; finished cells are saved; again to drop them"
WRITING = "everything is measured, so the result is finished; again to leave without its page"
LEAVING = "leaving with what was finished"


class Interrupts:
    """The state of Ctrl-C during a command.

    Attributes:
        count: how often Ctrl-C was pressed.
        measured: whether the measurement is over, so that a first Ctrl-C has nothing to stop.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self.count = 0
        self.measured = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Answer a signal. Only what can be stopped is interrupted.

        Raises:
            KeyboardInterrupt: something runs that can be stopped.
        """
        self.count += 1
        first = self.count == 1
        self._write(f"interrupted: {(WRITING if self.measured else STOPPING) if first else LEAVING}\n")
        if first and self.measured:
            return
        raise KeyboardInterrupt

    def pressed(self) -> bool:
        """Return whether an exception comes from Ctrl-C: libraries may turn it into one of their own."""
        return self.count > 0 or isinstance(sys.exc_info()[1], KeyboardInterrupt)

    @property
    def dropped(self) -> str:
        """What is lost if no result could be made."""
        return (
            "left before the tables were computed"
            if self.measured or self.count > 1
            else "nothing was finished"
        )

    def checked(self, progress: Progress) -> Progress:
        """Return the same callback, which notes the end of the measurement.

        It interrupts, too: a library may swallow the exception that a signal raises (a destructor, a bare ``except``).
        """

        def advance(what: str, done: int, total: int) -> None:
            if self.count and not self.measured:
                raise KeyboardInterrupt
            self.measured = done >= total
            progress(what, done, total)

        return advance


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Handle Ctrl-C during the block; outside the main thread, where signals cannot be handled, it stays as it is."""
    state = Interrupts(_write_stderr)
    try:
        before = signal.signal(signal.SIGINT, state)
    except ValueError:
        yield state
        return
    try:
        yield state
    finally:
        signal.signal(signal.SIGINT, before)


def _write_stderr(line: str) -> None:
    """Write at once: the signal may arrive while Python's own stream is writing."""
    try:
        os.write(sys.stderr.fileno(), (f"\n{line}" if sys.stderr.isatty() else line).encode())
    except (OSError, ValueError, AttributeError):
        return  # no stream, or a closed one
