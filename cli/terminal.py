"""Text on a terminal: wrapped between words, with colours that only repeat what the text states."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TextIO

import click

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan", "interrupted": "red"}
PROSE = 100  # columns: longer lines of prose are hard to read
USUAL = 80  # columns: of a terminal of unknown width
LEAST = 20  # columns: narrower windows are treated as this wide


def width(stream: TextIO) -> int | None:
    """Return the columns of the terminal of a stream, or None if the stream is not a terminal."""
    if not stream.isatty():
        return None
    return max(_columns(stream), LEAST)


def _columns(stream: TextIO) -> int:
    """Return COLUMNS if set, else the width of the stream's own terminal: the other stream may be a pipe."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or USUAL
    except (OSError, ValueError):
        return USUAL


def coloured(stream: TextIO) -> bool:
    """Return whether a stream shows colours: a terminal does, unless NO_COLOR or TERM=dumb is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def tell(sign: str, text: str, *, err: bool = False) -> None:
    """Print ``sign: text``, with a coloured sign."""
    stream = sys.stderr if err else sys.stdout
    head = f"{sign}:"
    lines = wrapped(f"{head} {text}", width(stream), indent="  ").split("\n")
    if coloured(stream):
        lines[0] = click.style(head, fg=COLOURS.get(sign), bold=True) + lines[0][len(head) :]
    click.echo("\n".join(lines), err=err, color=coloured(stream))


def say(text: str, indent: str = "") -> None:
    """Print prose on stdout; on a terminal it is wrapped, with later lines indented."""
    click.echo(wrapped(text, width(sys.stdout), indent))


def shortened(text: str, stream: TextIO, indent: str = "") -> str:
    """Return a text as one line, cut to the window if the stream is a terminal."""
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
    r"""Break a text into lines of whole words, later ones indented; leave the lines as they are if ``columns`` is None.

    Bytes of a file name that are not UTF-8 are written as ``\\udce9``.

    A word that is longer than a line, such as a path, stays whole.

    >>> wrapped("less gradient duplication", 16)
    'less gradient\nduplication'
    """
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
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
