"""Text for a terminal: aligned columns, as many as fit, and the names of the others."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence

from gradlens.showing.columns import Column, Shown, columns

ROWS = 30
"""Largest number of rows of a table."""
WIDTH = 100  # columns, if the width of the terminal is not known


def table_text(table: Shown) -> str:
    """Return the text of a table: caption, header, rows, and what is left out."""
    frame = table.frame
    head = _wrapped(f"{table.name}: {table.caption}")
    if frame.empty:
        return f"{head}\n(no rows)"
    all_columns = columns(frame.head(ROWS), table.units)
    fitting = _fitting(all_columns)
    lines = [head, *_rows(fitting)]
    if len(frame) > ROWS:
        lines.append(more(len(frame) - ROWS, "row"))
    units = [f"{column.name}: {column.unit}" for column in fitting if column.unit]
    if units:
        lines.append(_wrapped(f"units: {'; '.join(units)}"))
    left = [column.name for column in all_columns[len(fitting) :]]
    if left:
        lines.append(_wrapped(f"{more(len(left), 'column')}: {', '.join(left)}"))
    return "\n".join(lines)


def more(count: int, what: str) -> str:
    """Return how many are not shown as text.

    >>> more(1, "row"), more(12, "column")
    ('1 more row', '12 more columns')
    """
    return f"{count} more {what}{'s' * (count != 1)}"


def result_text(finding: str, warnings: Sequence[str], tables: Mapping[str, Shown]) -> str:
    """Return the text of a result: finding, warnings and names of tables."""
    named = ", ".join(f"{name} ({len(table.frame)})" for name, table in tables.items())
    lines = [f"Result: {finding}", *(f"warning: {warning}" for warning in warnings)]
    return "\n".join(map(_wrapped, [*lines, f"tables (rows): {named or 'none'}"]))


def facts_text(title: str, facts: Mapping[str, str], notes: Sequence[str] = ()) -> str:
    """Return facts as aligned lines below a title."""
    width = max(map(len, facts), default=0)
    lines = [f"  {name.ljust(width)}  {fact}" for name, fact in facts.items()]
    return "\n".join([title, *lines, *(f"  note: {note}" for note in notes)])


def _fitting(columns: Sequence[Column]) -> list[Column]:
    """Return the first columns that fit side by side, at least one."""
    room = shutil.get_terminal_size((WIDTH, 24)).columns
    fitting: list[Column] = []
    for column in columns:
        room -= _width(column) + 2
        if room < -2 and fitting:
            break
        fitting.append(column)
    return fitting


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
