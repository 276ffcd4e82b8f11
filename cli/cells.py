"""Cells of the tables on stdout: numbers, differences and intervals as text."""

from __future__ import annotations

import math

from gradlens.catalogue import Quantity
from gradlens.numbers import DASH, TERMINAL, format_number

from .layout import Row


def compared_cell(row: Row, quantity: Quantity) -> str:
    """Return the values of both networks, the difference and its interval as text.

    >>> from gradlens.catalogue import quantities_with
    >>> parts = {"a": 0.79, "b": 0.68, "difference": -0.11, "low": -0.15, "high": -0.07}
    >>> (loss,) = (entry for entry in quantities_with("trajectory") if entry.name == "loss")
    >>> compared_cell({f"loss_{part}": value for part, value in parts.items()}, loss)
    '0.79 | 0.68  -0.11 [-0.15, -0.07]'
    """
    a, b, difference, low, high = (
        number(row.get(f"{quantity.name}_{part}")) for part in ("a", "b", "difference", "low", "high")
    )
    if math.isnan(a) and math.isnan(b):
        return DASH
    pair = f"{text(a, quantity)} | {text(b, quantity)}"
    if math.isnan(difference):
        return pair
    pair += f"  {text(difference, quantity, sign=True)}"
    if math.isnan(low) or math.isnan(high) or low == high:
        return pair
    return f"{pair} [{text(low, quantity, sign=True)}, {text(high, quantity, sign=True)}]"


def difference_cell(difference: float, low: float, high: float, quantity: Quantity, holds: bool) -> str:
    """Return a difference with half of its interval, and a star if it holds after correction; a dash if missing."""
    if math.isnan(difference):
        return DASH
    half = "" if math.isnan(low) or low == high else f" ± {text((high - low) / 2, quantity)}"
    return f"{text(difference, quantity, sign=True)}{half}{'*' * holds}"


def value_cell(row: Row, quantity: Quantity) -> str:
    """Return a value with half of its interval, if it has one."""
    value, low, high = (number(row.get(f"{quantity.name}{part}")) for part in ("", "_low", "_high"))
    written = text(value, quantity)
    return written if math.isnan(low) or low == high else f"{written} ± {text((high - low) / 2, quantity)}"


def interval_cell(row: Row, quantity: Quantity) -> str:
    """Return the interval of a row of differences; a dash if there is none."""
    low, high = number(row["low"]), number(row["high"])
    if math.isnan(low):
        return DASH
    return f"{text(low, quantity, sign=True)} to {text(high, quantity, sign=True)}"


def text(value: float, quantity: Quantity, *, sign: bool = False) -> str:
    """Return a number in the format of its quantity."""
    return format_number(value, quantity.format, TERMINAL, sign=sign)


def number(value: float | None) -> float:
    """Return a cell of a table as a number; NaN if it is empty."""
    return math.nan if value is None else float(value)
