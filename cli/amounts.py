"""Numbers as the summary writes them: few digits, counts with their thousands as a letter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

MISSING = "\N{EN DASH}"
Format = Callable[[float], str]


def ratio(value: float) -> str:
    """A number without unit.

    >>> ratio(0.6812), ratio(-0.001), ratio(1234.5)
    ('0.68', '0.00', '1234')
    """
    text = f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    return text.lstrip("-") if float(text) == 0 else text


def slope(value: float) -> str:
    """A small number with its sign.

    >>> slope(-0.01234), slope(0.00001)
    ('-0.012', '0.000')
    """
    text = f"{value:.3f}"
    return text.lstrip("-") if float(text) == 0 else text


def count(value: float) -> str:
    """A count with its thousands as a letter.

    >>> count(4.1e9), count(-23508032), count(999_999), count(7), count(1.33)
    ('4.1 G', '-23.5 M', '1.0 M', '7', '1.3')
    """
    if abs(value) < 1000:
        return f"{value:.1f}".removesuffix(".0")
    letters = iter("kMGTP")
    letter = ""
    while abs(value) >= 999.95:
        value, letter = value / 1000, next(letters)
    return f"{value:.1f} {letter}"


def speed(value: float) -> str:
    """Images a second, to what can be told from a few steps.

    >>> speed(176.4), speed(42.48), speed(3.14)
    ('176', '42', '3.1')
    """
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def pvalue(value: Any) -> str:
    """A p-value.

    >>> pvalue(0.0312), pvalue(0.00001), pvalue(None)
    ('0.031', '< 0.001', '–')
    """
    p = number(value)
    return MISSING if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def number(value: Any) -> float:
    """A cell of a table; NaN where it holds nothing."""
    return math.nan if value is None else float(value)
