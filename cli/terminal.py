"""What a terminal is told: wrapped between words, coloured where that is wanted, never by colour alone."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TextIO

import click

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan", "interrupted": "red"}
PROSE = 100  # columns: longer lines of prose are hard to read
LEAST = 20  # columns: of a narrower window nothing can be made


def width(stream: TextIO) -> int | None:
    """Columns of the terminal behind a stream; None where there is no terminal."""
    if not stream.isatty():
        return None
    return max(shutil.get_terminal_size().columns, LEAST)


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
