"""Text for a terminal: aligned columns, as many as fit, and what was left out by name."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence

from gradlens.showing.columns import Column, Shown, columns

ROWS = 30
"""Rows of a table that a terminal shows."""
WIDTH = 100  # where no terminal says how wide it is


def table_text(table: Shown) -> str:
    """The table as a terminal shows it: caption, header, rows, and what is not shown."""
    frame = table.frame
    head = _wrapped(f"{table.name}: {table.caption}")
    if frame.empty:
        return f"{head}\n(no rows)"
    every = columns(frame.head(ROWS), table.units)
    fitting = _fitting(every)
    lines = [head, *_rows(fitting)]
    if len(frame) > ROWS:
        lines.append(more(len(frame) - ROWS, "row"))
    units = [f"{column.name}: {column.unit}" for column in fitting if column.unit]
    if units:
        lines.append(_wrapped(f"units: {'; '.join(units)}"))
    left = [column.name for column in every[len(fitting) :]]
    if left:
        lines.append(_wrapped(f"{more(len(left), 'column')}: {', '.join(left)}"))
    return "\n".join(lines)


def more(count: int, what: str) -> str:
    """How many are not shown.

    >>> more(1, "row"), more(12, "column")
    ('1 more row', '12 more columns')
    """
    return f"{count} more {what}{'s' * (count != 1)}"


def result_text(finding: str, warnings: Sequence[str], tables: Mapping[str, Shown]) -> str:
    """A result as a terminal shows it: the finding first, then warnings and names of tables."""
    named = ", ".join(f"{name} ({len(table.frame)})" for name, table in tables.items())
    lines = [f"Result: {finding}", *(f"warning: {warning}" for warning in warnings)]
    return "\n".join(map(_wrapped, [*lines, f"tables (rows): {named or 'none'}"]))


def facts_text(title: str, facts: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    """Facts as aligned lines under a title."""
    width = max(map(len, facts), default=0)
    lines = [f"  {name.ljust(width)}  {fact}" for name, fact in facts.items()]
    return "\n".join([title, *lines, *(f"  note: {note}" for note in notes)])


def _fitting(every: Sequence[Column]) -> list[Column]:
    """The first columns that fit beside each other, at least one."""
    room = shutil.get_terminal_size((WIDTH, 24)).columns
    found: list[Column] = []
    for column in every:
        room -= _width(column) + 2
        if room < -2 and found:
            break
        found.append(column)
    return found


def _width(column: Column) -> int:
    return max(map(len, (column.name, *column.texts)))


def _rows(fitting: Sequence[Column]) -> list[str]:
    cells = [
        [
            cell.rjust(_width(column)) if column.number else cell.ljust(_width(column))
            for cell in (column.name, *column.texts)
        ]
        for column in fitting
    ]
    return ["  ".join(row).rstrip() for row in zip(*cells, strict=True)]


def _wrapped(line: str) -> str:
    room = shutil.get_terminal_size((WIDTH, 24)).columns
    return textwrap.fill(line, max(room, 20), subsequent_indent="  ", break_on_hyphens=False)
