"""Convert a frame to columns of text: missing numbers as dashes, values together with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from gradlens.catalogue import CORRECTED, OF_PAIR, names
from gradlens.numbers import DASH, fixed, format_cell

MAIN = names(main=True)
"""Columns that are shown first, if a table has them."""
STEP = "step"
"""The column that says when in a training a row was measured; it is shown with them."""

LEAST, SMALL, MOST = 1e-3, 0.1, 100.0
"""Numbers of a row that belong together get equal digits if the largest is from ``LEAST`` to ``MOST``: three after the
decimal point, four below ``SMALL``."""


class Shown(Protocol):
    """The attributes of a table that are shown; ``gradlens.Table`` has them."""

    @property
    def name(self) -> str:
        """Key of the table."""

    @property
    def frame(self) -> pd.DataFrame:
        """One row per observation."""

    @property
    def caption(self) -> str:
        """A sentence that describes the table."""

    @property
    def how(self) -> str:
        """How the numbers were obtained."""

    @property
    def units(self) -> Mapping[str, str]:
        """Unit or range by column."""


@dataclass(frozen=True)
class Column:
    """One column as text.

    Attributes:
        name: as in the frame.
        unit: unit of its numbers, or empty.
        number: whether it holds numbers, which are aligned to the right.
        texts: one cell per row.
    """

    name: str
    unit: str
    number: bool
    texts: tuple[str, ...]


def columns(frame: pd.DataFrame, units: Mapping[str, str]) -> list[Column]:
    """Return all columns of the frame as text."""
    return [_column(frame, index, units) for index in range(frame.shape[1])]


def main_columns(frame: pd.DataFrame, units: Mapping[str, str]) -> list[Column]:
    """Return the columns that are shown first, each value with its interval.

    ``x`` with ``x_low`` and ``x_high`` becomes ``x [low, high]``; ``x_a``, ``x_b`` and ``x_difference``
    become ``a | b`` and the difference with its interval; ``x_reach`` becomes ``x ± reach``. If a table
    has none of the columns ``MAIN``, all columns are kept.
    """
    if frame.columns.has_duplicates:
        return columns(frame, units)
    present = [str(name) for name in frame.columns]
    taken = {part for name in present for part in _parts(name, present)}
    merged = []
    for index, name in enumerate(present):
        base = name.removesuffix("_a")
        if name in taken:
            continue
        if base != name and f"{base}_difference" in present:
            merged.append(_pair(frame, base, units))
        else:
            merged.append(_with_interval(frame, index, present, units))
    main = [column for column in merged if column.name in (STEP, *MAIN) or not column.number]
    return main if any(column.name in MAIN for column in main) else merged


def _parts(name: str, names: Sequence[str]) -> list[str]:
    """Return the columns that are merged into the column ``name``."""
    base = name.removesuffix("_a")
    if base != name and f"{base}_difference" in names:
        return [base + end for end in (*OF_PAIR, CORRECTED) if end != "_a" and base + end in names]
    if f"{name}_low" in names and f"{name}_high" in names:
        return [f"{name}_low", f"{name}_high"]
    return [f"{name}_reach"] if f"{name}_reach" in names else []


def _column(frame: pd.DataFrame, index: int, units: Mapping[str, str]) -> Column:
    name, values = str(frame.columns[index]), frame.iloc[:, index]
    kind = values.dtype
    number = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
    return Column(name, str(units.get(name, "")), number, tuple(text(value, name) for value in values))


def _with_interval(frame: pd.DataFrame, index: int, names: Sequence[str], units: Mapping[str, str]) -> Column:
    """Return a column merged with the columns of its interval, if there are any."""
    column = _column(frame, index, units)
    parts = [frame.iloc[:, names.index(part)] for part in _parts(column.name, names)]
    if not parts:
        return column
    rows = [_equal_digits(cells, column.name) for cells in zip(frame.iloc[:, index], *parts, strict=True)]
    if len(parts) == 2:
        texts = tuple(_between(*cells) for cells in rows)
        return Column(column.name, _joined(column.unit, "[95 % interval]"), True, texts)
    texts = tuple(value if reach == DASH else f"{value} ± {reach}" for value, reach in rows)
    return Column(column.name, column.unit, True, texts)


def _pair(frame: pd.DataFrame, base: str, units: Mapping[str, str]) -> Column:
    """Return a column of two networks and their difference: ``0.49 | 0.52, +0.03 [+0.01, +0.05]``."""
    parts = [_values(frame, base + end) for end in OF_PAIR]
    texts = []
    for cells in zip(*parts, strict=True):
        left, right, change, low, high = _equal_digits(cells, base, signed=2)
        difference = "" if change == DASH else f", {_between(change, low, high)}"
        texts.append(f"{left} | {right}{difference}")
    return Column(base, _joined(str(units.get(base, "")), "a | b, b − a"), True, tuple(texts))


def _values(frame: pd.DataFrame, name: str) -> Sequence[object]:
    return list(frame[name]) if name in frame else [None] * len(frame)


def _equal_digits(cells: Sequence[object], column: str, signed: int = 5) -> list[str]:
    """Return cells of one row that belong together with equal digits; those from index ``signed`` on have a sign."""
    known = [abs(cell) for cell in cells if isinstance(cell, float) and math.isfinite(cell)]
    if not known or not LEAST <= max(known) < MOST:
        return [text(cell, column, sign=index >= signed) for index, cell in enumerate(cells)]
    digits = 3 if max(known) >= SMALL else 4
    return [_rounded(cell, digits, index >= signed) for index, cell in enumerate(cells)]


def _rounded(value: object, digits: int, sign: bool) -> str:
    if not isinstance(value, float) or not math.isfinite(value):
        return text(value, sign=sign)
    return fixed(value, digits, sign=sign)


def _between(value: str, low: str, high: str) -> str:
    return value if DASH in (low, high) else f"{value} [{low}, {high}]"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def text(value: object, column: str = "", *, sign: bool = False) -> str:
    """Return a cell of any type as text; a dash if it is missing.

    >>> text(float("nan")), text(-0.25), text(None), text([1, 2])
    ('–', '−0.250', '–', '[1, 2]')
    """
    if isinstance(value, np.ndarray):
        return str(value.tolist())
    if value is pd.NA or value is pd.NaT:
        return DASH
    return format_cell(value, column, sign=sign)
