"""Errors, warnings, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
import os
import re
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class GradlensError(Exception):
    """A request that cannot be met; the message states the value, the allowed values and what to do.

    The command line prints the message as one line and exits with 1.
    """


class CallerError(GradlensError):
    """An exception of the caller's code, with its file and line; ``__cause__`` is the exception itself."""


class ModelNote(UserWarning):
    """A remark on how a network was made that affects its numbers; results contain it."""


def close_matches(name: str, allowed: Iterable[str], limit: int = 5) -> str:
    """Return names similar to ``name`` as a clause for an error message; empty if there are none.

    >>> close_matches("resnet5O", ["resnet50", "vgg16"])
    '; did you mean resnet50?'
    """
    near = difflib.get_close_matches(name, list(allowed), n=limit, cutoff=0.6)
    return f"; did you mean {', '.join(near)}?" if near else ""


LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
INSTALLED = ("site-packages", "dist-packages")
OWN = os.path.dirname(os.path.abspath(__file__))
ENTERED = (
    "__torch_dispatch__",
    "__torch_function__",
)  # through which an operation of the caller's code passes
BATCHES = "batches"
IN_WORKER = re.compile(r"^Caught \w+ in DataLoader worker process \d+\.$")
LINE_OF_TRACEBACK = re.compile(r'^ *File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
LONGEST = 300


@contextmanager
def callers_errors(part: str, model: object = None) -> Iterator[None]:
    """Raise exceptions of the caller's code in the block as theirs; those of a library or of gradlens pass unchanged.

    All exceptions of batches are the caller's: a loader raises those of the samples that it stacks.

    Args:
        part: what runs in the block: ``step``, ``loss`` or ``batches``.
        model: the network; an exception in one of its calls is said to be of the model.

    Raises:
        CallerError: a line of the caller's code raised an exception, or called the operation that did.
    """
    try:
        yield
    except GradlensError:
        raise
    except Exception as error:
        if not _line_of(error) and part != BATCHES:
            raise
        frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
        in_model = model is not None and any(frame.f_locals.get("self") is model for frame in frames)
        raise CallerError(f"your {'model' if in_model else part} raised {described(error)}") from error


def described(error: BaseException) -> str:
    """Return an exception as ``KeyError: 'neck' in models.py:32 (forward)``, with the caller's last line."""
    name, text, line = type(error).__name__, str(error).strip(), _line_of(error)
    first, _, _ = text.partition("\n")
    if IN_WORKER.match(first):
        name, _, text = text.rpartition("\n")[2].partition(": ")
    text = " ".join(text.split())
    comma = "," if " " in text else ""
    return f"{name}: {text[:LONGEST]}".removesuffix(": ") + (line and comma + line)


def _line_of(error: BaseException) -> str:
    """Return the last line of the caller's code in a traceback; empty if it has none, or if gradlens raised it."""
    lines = [(f.f_code.co_filename, n, f.f_code.co_name) for f, n in traceback.walk_tb(error.__traceback__)]
    if IN_WORKER.match(str(error).partition("\n")[0]):
        lines = [(file, int(line), name) for file, line, name in LINE_OF_TRACEBACK.findall(str(error))]
    for file, line, name in reversed(lines):
        if file.startswith(OWN + os.sep) and name not in ENTERED:
            return ""
        if _is_callers(file):
            function = "" if name.startswith("<") else f" ({name})"
            return f" in {_short(file)}:{line}{function}"
    return ""


def _is_callers(file: str) -> bool:
    if file.startswith("<") or any(name in file.split(os.sep) for name in INSTALLED):
        return file in ("<stdin>", "<string>")
    return not file.startswith((OWN, *LIBRARIES))


def _short(file: str) -> str:
    """Return the path below the working directory, or else the name of the file."""
    folder = os.getcwd() + os.sep
    return file.removeprefix(folder) if file.startswith(folder) else os.path.basename(file)
