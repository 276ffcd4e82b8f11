"""How much a command prints: only errors and the path of the result, the usual output, or every step."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import click

from . import progress as steps
from .progress import Progress
from .terminal import tell
from .wording import in_options

VOICE = "gradlens.voice"  # key in the context


class Voice(Enum):
    """How much a command prints.

    ``QUIET``: errors, and on stdout the path of the result. ``VERBOSE``: also every step, with times.
    """

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


def voice_of(ctx: click.Context) -> Voice:
    """Return the voice that ``--quiet`` or ``--verbose`` requests."""
    return Voice(ctx.meta.get(VOICE, Voice.NORMAL))


def remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Store the voice; callback of the two options, which exclude each other."""
    if not value or ctx.resilient_parsing:
        return
    if VOICE in ctx.meta:
        raise click.UsageError("--quiet and --verbose exclude each other; give one of them")
    ctx.meta[VOICE] = Voice(parameter.name)


@dataclass
class Diary:
    """The steps of a command and their durations, printed if the voice is verbose.

    Attributes:
        voice: of the command.
        clock: returns seconds from an arbitrary start.
    """

    voice: Voice
    clock: Callable[[], float] = time.perf_counter
    _step: str = field(default="", init=False)
    _since: float = field(default=0.0, init=False)
    _last: float = field(default=0.0, init=False)

    def note(self, text: str) -> None:
        """Print a line on stderr if the voice is verbose."""
        if self.voice is Voice.VERBOSE:
            tell("note", text, err=True)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Print how long the block took."""
        start = self.clock()
        yield
        self.note(f"{what} in {self.clock() - start:.1f} s")

    def watching(self, progress: Progress) -> Progress:
        """Return the same progress callback, which also prints the duration of each step."""
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
        """Print the duration of a step, from the last progress report of the previous step to its own last report."""
        self.note(f"{self._step}: {self._last - self._since:.1f} s")
        self._step, self._since = "", self._last


@contextmanager
def progress_on_stderr(voice: Voice) -> Iterator[Progress]:
    """Yield the progress callback; for a quiet command it prints nothing."""
    if voice is Voice.QUIET:
        yield lambda what, done, total: None
        return
    with steps.progress_on_stderr() as progress:
        yield progress


@contextmanager
def warnings_as_notes(voice: Voice) -> Iterator[None]:
    """Print Python warnings of the block as notes: none if quiet, with file and line if verbose."""

    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
    ) -> None:
        if voice is Voice.QUIET:
            return
        text = " ".join(str(message).split())
        source = f" ({filename}:{lineno})" if voice is Voice.VERBOSE else ""
        tell("note", f"{category.__name__}: {in_options(text)}{source}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def settings(parameters: Mapping[str, object]) -> str:
    """Return the options of a command in one line.

    >>> settings({"seeds": 3, "data": "digits", "out": None})
    'seeds=3 data=digits'
    """
    return " ".join(f"{name}={value}" for name, value in parameters.items() if value not in (None, (), {}))


def surroundings() -> str:
    """Return the versions and threads of a finished measurement."""
    from gradlens.version import VERSION

    parts = [f"gradlens {VERSION}", f"Python {sys.version.split()[0]}"]
    torch = sys.modules.get("torch")  # loaded only if something was measured
    if torch is not None:
        parts.append(f"torch {torch.__version__}, threads: {torch.get_num_threads()}")
    return ", ".join(parts)
