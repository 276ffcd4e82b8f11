"""Format numbers as text for the terminal, the page and notebooks.

The catalogue gives the format of a quantity; ``TERMINAL`` and ``PAGE`` hold the digits of each format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from gradlens.catalogue import Format, quantity

MINUS, DASH, NARROW = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NARROW NO-BREAK SPACE}"
THOUSANDS = ("", "k", "M", "G", "T", "P")


@dataclass(frozen=True)
class Style:
    """The format of numbers on the terminal or on the page.

    Attributes:
        formats: function from a magnitude to its text, by format.
        minus: sign of a negative number.
        infinity: text of an infinite number.
        plus_zero: whether a difference that is rounded to zero after the decimal point gets a plus sign.
    """

    formats: Mapping[Format, Callable[[float], str]]
    minus: str = MINUS
    infinity: str = "\N{INFINITY}"
    plus_zero: bool = False


def format_number(value: float | None, form: Format, style: Style, *, sign: bool = False) -> str:
    """Return a number in the digits of its format; a dash if it is missing.

    >>> format_number(-0.104, "ratio", TERMINAL), format_number(-0.104, "ratio", PAGE)
    ('-0.10', '−0.104')
    >>> format_number(4.089e9, "amount", TERMINAL, sign=True), format_number(math.nan, "amount", TERMINAL)
    ('+4.1 G', '–')
    """
    if value is None or math.isnan(value):
        return DASH
    text = style.infinity if math.isinf(value) else style.formats[form](abs(float(value)))
    if text == DASH:
        return text
    return _with_sign(text, value, style.minus, sign, style.plus_zero)


def format_cell(value: object, column: str = "", *, sign: bool = False) -> str:
    r"""Return a cell of a table as text; the column's format determines how counts and bytes are written.

    >>> format_cell(4_089_184_256, "flops"), format_cell(0.73456, "duplication"), format_cell(float("nan"))
    ('4.09\u202fG', '0.735', '–')
    >>> format_cell(-0.104, sign=True)
    '−0.104'
    """
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, (int, float)):
        return str(value)
    form = format_of(column)
    if form in ("amount", "bytes"):
        text = PAGE.formats[form](abs(value))
    else:
        text = str(abs(value)) if isinstance(value, int) else significant(abs(value))
    return _with_sign(text, value, MINUS, sign)


def format_of(column: str) -> Format | None:
    """Return the format of a column: the format of its quantity, ``bytes`` if its name ends so, or None.

    >>> format_of("flops_a"), format_of("buffer_bytes"), format_of("rms")
    ('amount', 'bytes', None)
    """
    entry = quantity(column)
    if entry is not None:
        return entry.format
    return "bytes" if column.endswith("bytes") else None


def format_p(value: float | None) -> str:
    """Return a p-value as text.

    >>> format_p(0.0312), format_p(0.00001), format_p(None)
    ('0.031', '< 0.001', '–')
    """
    if value is None or math.isnan(value):
        return DASH
    return "< 0.001" if value < 0.001 else fixed(value, 3)


def fixed(value: float, digits: int, *, sign: bool = False, minus: str = MINUS) -> str:
    """Return a number with ``digits`` digits after the decimal point; zero has no sign.

    >>> fixed(-0.25, 3), fixed(0.0001, 3, sign=True), fixed(0.5, 1, sign=True)
    ('−0.250', '0.000', '+0.5')
    """
    return _with_sign(f"{abs(value):.{digits}f}", value, minus, sign)


def scaled(value: float, base: float, prefixes: tuple[str, ...]) -> str:
    r"""Return three significant digits with a prefix.

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
    """Return three significant digits, or scientific notation if the number is far from one.

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
    if value < 0.09995:
        return f"{value:.3g}"
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.9995 else f"{value:.3f}"


def power_of_ten(count: int) -> str:
    """Return a count, from a million as a power of ten; it may be larger than any float.

    >>> power_of_ten(4096), power_of_ten(10**400)
    ('4096', '1.00e+400')
    """
    return f"{Decimal(count):.2e}" if count >= 10**6 else str(count)


def percent(value: float, digits: int = 0, *, sign: bool = False) -> str:
    """Return a share of one as a percentage.

    >>> percent(0.126), percent(0.126, 1), percent(-0.167), percent(0.167, sign=True)
    ('13 %', '12.6 %', '−17 %', '+17 %')
    """
    return f"{fixed(100 * value, digits, sign=sign)} %"


def tick(value: float) -> str:
    r"""Return an amount as the label of a tick, without trailing zeros.

    >>> tick(0.0), tick(2e9), tick(2.5e6), tick(0.5), tick(200.0)
    ('0', '2\u202fG', '2.5\u202fM', '0.5', '200')
    """
    number, gap, prefix = format_number(value, "amount", PAGE).partition(NARROW)
    return (number.rstrip("0").rstrip(".") if "." in number else number) + gap + prefix


def _with_sign(text: str, value: float, minus: str, sign: bool, plus_zero: bool = False) -> str:
    if any(digit in text for digit in "123456789\N{INFINITY}"):
        return (minus if value < 0 else "+" if sign else "") + text
    return f"+{text}" if sign and plus_zero and "." in text else text


def _short(value: float) -> str:
    """Return two digits after the decimal point; none from a hundred on."""
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _thousands(value: float) -> str:
    """Return one digit after the decimal point and a letter for the power of a thousand.

    >>> _thousands(4.1e9), _thousands(999_999), _thousands(7), _thousands(1.33)
    ('4.1 G', '1.0 M', '7', '1.3')
    """
    if value < 1000:
        return f"{value:.1f}".removesuffix(".0")
    step = 0
    while value >= 999.95 and step + 1 < len(THOUSANDS):
        value, step = value / 1000, step + 1
    return f"{value:.1f} {THOUSANDS[step]}"


def _bytes(value: float) -> str:
    return scaled(value, 1024.0, ("B", "KiB", "MiB", "GiB", "TiB"))


TERMINAL = Style(
    {
        "ratio": _short,
        "slope": lambda value: f"{value:.3f}",
        "count": _thousands,
        "amount": _thousands,
        "bytes": _bytes,
        "speed": lambda value: f"{value:.0f}" if value >= 10 else f"{value:.1f}",
    },
    minus="-",
    infinity=DASH,
)
"""Few digits, because a line of the terminal holds many numbers."""
PAGE = Style(
    {
        "ratio": lambda value: f"{value:.3f}",
        "slope": lambda value: f"{value:.4f}",
        "count": lambda value: f"{value:.0f}" if value.is_integer() else f"{value:.1f}",
        "amount": lambda value: scaled(value, 1000.0, THOUSANDS),
        "bytes": _bytes,
        "speed": lambda value: f"{value:.3f}",
    },
    plus_zero=True,
)
"""The format of numbers on the page."""
