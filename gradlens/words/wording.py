"""How a difference is worded in every finding."""

from __future__ import annotations

CLEAR = 0.05
"""Corrected p below which a difference is called one."""
NOISE = "no difference beyond the noise between"


def signed(value: float, digits: int = 2) -> str:
    """With a sign, which zero has not.

    >>> signed(0.123), signed(-0.001), signed(0.0)
    ('+0.12', '0.00', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def unsigned(value: float, digits: int = 2) -> str:
    """With a sign only below zero.

    >>> unsigned(0.123), unsigned(-0.001)
    ('0.12', '0.00')
    """
    return signed(value, digits).removeprefix("+")
