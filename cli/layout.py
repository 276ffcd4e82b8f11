"""Tables of text: aligned in a pipe, fitted to the window on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from gradlens.numbers import DASH

from .terminal import coloured, width, wrapped

GAP = "  "
WHOLE = "whole"  # the row of the whole network
Row = Mapping[Any, Any]
"""A row of a table; the cells of a row of pandas have no common type."""


@dataclass(frozen=True)
class Block:
    """A small table of texts; the first column names the row."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print tables, each followed by an empty line."""
    columns, colour = width(sys.stdout), coloured(sys.stdout)
    for block in blocks:
        if columns is None:
            click.echo(plain(block) + "\n")
            continue
        for part in fitted(block, columns):
            click.echo(_drawn(part, columns, colour) + "\n", color=colour)


def plain(block: Block) -> str:
    """Return aligned columns without lines, as wide as needed.

    >>> print(plain(Block(["stage", "n"], [["1", "2.5 k"], ["whole", "7"]])))
    stage  n
    1      2.5 k
    whole  7
    """
    widths = _widths(block)
    return "\n".join(_line(line, widths) for line in (block.headers, *block.rows))


def fitted(block: Block, columns: int) -> list[Block]:
    """Split a table into parts that are no wider than ``columns``, each with the first column.

    A column that does not fit next to the first one forms its own part.

    >>> wide = Block(["stage", "duplication", "direction"], [["4", "0.5", "0.6"]])
    >>> [list(part.headers) for part in fitted(wide, 20)]
    [['stage', 'duplication'], ['stage', 'direction']]
    """
    widths = _widths(block)
    parts: list[list[int]] = []
    for column in range(1, len(block.headers)):
        taken = [0, *(parts[-1] if parts else []), column]
        if parts and sum(widths[i] for i in taken) + len(GAP) * (len(taken) - 1) <= columns:
            parts[-1].append(column)
        else:
            parts.append([column])
    if not parts:
        return [block]
    return [
        Block([block.headers[i] for i in (0, *part)], [[row[i] for i in (0, *part)] for row in block.rows])
        for part in parts
    ]


def without_empty_rows(block: Block) -> Block:
    """Return the table without the rows that have no value.

    >>> without_empty_rows(Block(["stage", "m"], [["2", "\N{EN DASH}"], ["4", "7"]])).rows
    [['4', '7']]
    """
    return Block(
        block.headers, [row for row in block.rows if any(cell not in ("", DASH) for cell in row[1:])]
    )


def _drawn(block: Block, columns: int, colour: bool) -> str:
    """Return a part for a terminal: with a rule below its head, or row by row if it is too wide."""
    widths = _widths(block)
    total = sum(widths) + len(GAP) * (len(widths) - 1)
    if total > columns:
        return "\n".join(_stacked(block, columns))
    head = bold(_line(block.headers, widths), colour)
    rows = [bold(_line(row, widths), colour and row[0] == WHOLE) for row in block.rows]
    return "\n".join([head, _rule(total), *rows])


def _stacked(block: Block, columns: int) -> Iterator[str]:
    """Yield each row as its name and, indented, its cells: nothing is cut."""
    yield wrapped(" / ".join(block.headers), columns)
    for row in block.rows:
        yield row[0]
        for cell in row[1:]:
            yield wrapped(GAP + cell, columns, indent=GAP)


def _rule(length: int) -> str:
    try:
        "─".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "-" * length
    return "─" * length


def bold(text: str, enabled: bool) -> str:
    """Return the text, in bold if enabled."""
    return click.style(text, bold=True) if enabled else text


def _widths(block: Block) -> list[int]:
    return [max(map(len, column)) for column in zip(block.headers, *block.rows, strict=True)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True)).rstrip()
