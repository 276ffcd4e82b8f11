"""Numbers as people read them: significant digits, humanised counts and bytes, true minus signs."""

from __future__ import annotations

import math
from typing import Any

MINUS, DASH, NARROW = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NARROW NO-BREAK SPACE}"
COUNTS = ("flops", "parameters", "traffic_elements")


def shown(value: Any, column: str = "", *, sign: bool = False) -> str:
    r"""A cell of a table as text; the column's name decides how counts and bytes are written.

    >>> shown(4_089_184_256, "flops"), shown(0.73456, "duplication"), shown(float("nan"))
    ('4.09\u202fG', '0.735', '–')
    >>> shown(-0.104, sign=True)
    '−0.104'
    """
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return str(value)
    if column.startswith(COUNTS):
        text = scaled(abs(value), 1000.0, ("", "k", "M", "G", "T", "P"))
    elif column.endswith("bytes"):
        text = scaled(abs(value), 1024.0, ("B", "KiB", "MiB", "GiB", "TiB"))
    elif isinstance(value, int):
        text = str(abs(value))
    else:
        text = significant(abs(value))
    return _signed(text, value, sign)


def scaled(value: float, base: float, prefixes: tuple[str, ...]) -> str:
    r"""Three significant digits and the prefix that keeps them short.

    >>> scaled(25_557_032, 1000.0, ("", "k", "M"))
    '25.6\u202fM'
    """
    step = 0
    while step + 1 < len(prefixes) and value >= base * 0.9995:
        value, step = value / base, step + 1
    whole = value >= 99.95 or (step == 0 and value == int(value))
    digits = 0 if whole else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f}{NARROW}{prefixes[step]}".rstrip(NARROW)


def significant(value: float) -> str:
    """Three digits that count, or a power of ten where those would stand far off.

    >>> significant(0.0), significant(0.5), significant(1.234e-7), significant(123456.0)
    ('0', '0.500', '1.23e-7', '1.23e5')
    >>> significant(0.01951), significant(12.34)
    ('0.0195', '12.3')
    """
    if value == 0:
        return "0"
    if math.isinf(value):
        return "\N{INFINITY}"
    if not 1e-3 <= value < 1e5:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    if value < 0.1:
        return f"{value:.3g}"
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.9995 else f"{value:.3f}"


def percent(value: float) -> str:
    """A share of one as a signed whole percentage.

    >>> percent(-0.167)
    '−17 %'
    """
    return _signed(f"{abs(value):.0%}".replace("%", NARROW + "%"), value, True).replace(NARROW, " ")


def _signed(text: str, value: float, sign: bool) -> str:
    if not any(digit in text for digit in "123456789\N{INFINITY}"):
        return text
    return (MINUS if value < 0 else "+" if sign else "") + text
