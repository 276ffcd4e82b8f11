"""What a terminal is told: wrapped between words, coloured where that is wanted, never by colour alone."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TextIO

import click

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan", "interrupted": "red"}
PROSE = 100  # columns: longer lines of prose are hard to read
USUAL = 80  # columns: of a terminal that does not tell
LEAST = 20  # columns: of a narrower window nothing can be made


def width(stream: TextIO) -> int | None:
    """Columns of the terminal behind a stream; None where there is no terminal."""
    if not stream.isatty():
        return None
    return max(_columns(stream), LEAST)


def _columns(stream: TextIO) -> int:
    """Columns as COLUMNS says, else of the stream's own terminal: the other stream may be a pipe."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def coloured(stream: TextIO) -> bool:
    """Whether a stream takes colours: a terminal, unless NO_COLOR or TERM=dumb asks for none."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def tell(sign: str, text: str, *, err: bool = False) -> None:
    """Print ``sign: text``; the sign is coloured, and says the same without colour."""
    stream = sys.stderr if err else sys.stdout
    head = f"{sign}:"
    lines = wrapped(f"{head} {text}", width(stream), indent="  ").split("\n")
    if coloured(stream):
        lines[0] = click.style(head, fg=COLOURS.get(sign), bold=True) + lines[0][len(head) :]
    click.echo("\n".join(lines), err=err, color=coloured(stream))


def say(text: str, indent: str = "") -> None:
    """Print prose on stdout, wrapped where that is a terminal, later lines indented."""
    click.echo(wrapped(text, width(sys.stdout), indent))


def shortened(text: str, stream: TextIO, indent: str = "") -> str:
    """A text in one line: no longer than the window where the stream is a terminal, whole in a pipe."""
    line, columns = indent + " ".join(text.split()), width(stream)
    if columns is None or len(line) <= columns:
        return line
    mark = "…" if _writes("…", stream) else "..."
    return line[: columns - len(mark)].rstrip() + mark


def _writes(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def wrapped(text: str, columns: int | None, indent: str = "") -> str:
    r"""Lines of whole words, later ones indented; as it is where ``columns`` is None.

    A word that is longer than a line, such as a path, stays whole.

    >>> wrapped("less gradient duplication", 16)
    'less gradient\nduplication'
    """
    if columns is None:
        return text
    return "\n".join(
        textwrap.fill(
            line,
            min(columns, PROSE),
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )
