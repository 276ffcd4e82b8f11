"""How much a command says: its errors and the result's path, the usual, or all that is done."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import click

from . import progress as steps
from .progress import Progress
from .terminal import tell

VOICE = "gradlens.voice"  # where the context keeps it


class Voice(Enum):
    """``QUIET``: errors, and on stdout the path of the result; ``VERBOSE``: all that is done, with times."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


def voice_of(ctx: click.Context) -> Voice:
    """What ``--quiet`` and ``--verbose`` of the command line say."""
    found = ctx.meta.get(VOICE, Voice.NORMAL)
    assert isinstance(found, Voice)
    return found


def remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Callback of the two options: both together are wrong usage."""
    if not value or ctx.resilient_parsing:
        return
    if VOICE in ctx.meta:
        raise click.UsageError("--quiet and --verbose exclude each other; give one of them")
    ctx.meta[VOICE] = Voice(parameter.name)


@dataclass
class Diary:
    """What was done and how long it took, told where the voice is verbose.

    Attributes:
        voice: of the command.
        clock: seconds from any start.
    """

    voice: Voice
    clock: Callable[[], float] = time.perf_counter
    _step: str = field(default="", init=False)
    _since: float = field(default=0.0, init=False)
    _last: float = field(default=0.0, init=False)

    def note(self, text: str) -> None:
        """A line of a verbose command, on stderr."""
        if self.voice is Voice.VERBOSE:
            tell("note", text, err=True)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Tell how long the block took."""
        start = self.clock()
        yield
        self.note(f"{what} in {self.clock() - start:.1f} s")

    def watching(self, progress: Progress) -> Progress:
        """The same progress, which also tells when a step ends and how long it took."""
        if self.voice is not Voice.VERBOSE:
            return progress
        self._since = self._last = self.clock()

        def advance(what: str, done: int, total: int) -> None:
            if self._step not in ("", what):
                self._end()
            self._step, self._last = what, self.clock()
            progress(what, done, total)
            if done >= total:
                self._end()

        return advance

    def _end(self) -> None:
        """Progress is told after each part of a step: the step began where the one before it ended."""
        self.note(f"{self._step}: {self._last - self._since:.1f} s")
        self._step, self._since = "", self._last


@contextmanager
def progress_on_stderr(voice: Voice) -> Iterator[Progress]:
    """Progress for as long as the block lasts; of a quiet command none."""
    if voice is Voice.QUIET:
        yield lambda what, done, total: None
        return
    with steps.progress_on_stderr() as progress:
        yield progress


@contextmanager
def warnings_told(voice: Voice) -> Iterator[None]:
    """Warnings of libraries as notes: none, one line each, or in full with their place."""

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        if voice is Voice.QUIET:
            return
        text = " ".join(str(message).split())
        place = f" ({filename}:{lineno})" if voice is Voice.VERBOSE else ""
        tell("note", f"{category.__name__}: {text}{place}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def settings(parameters: Mapping[str, Any]) -> str:
    """The options of a command in one line.

    >>> settings({"seeds": 3, "data": "digits", "out": None})
    'seeds=3 data=digits'
    """
    return " ".join(f"{name}={value}" for name, value in parameters.items() if value not in (None, (), {}))


def surroundings() -> str:
    """Versions, threads and device of a measurement that has run."""
    from gradlens.version import VERSION

    parts = [f"gradlens {VERSION}", f"Python {sys.version.split()[0]}"]
    torch = sys.modules.get("torch")  # loaded by the measurement, or not at all
    if torch is not None:
        parts.append(f"torch {torch.__version__}, threads: {torch.get_num_threads()}")
    return ", ".join(parts)
