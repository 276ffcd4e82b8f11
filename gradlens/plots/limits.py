"""Limits of axes: wide enough that noise does not fill them, and never beyond the range of the quantity."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def at_least(
    values: Iterable[float], least: float, within: tuple[float, float] = (-np.inf, np.inf), room: float = 0.12
) -> tuple[float, float]:
    """Return limits that contain all values and are at least ``least`` apart.

    Args:
        values: what is drawn, intervals too; NaN are left out.
        least: smallest distance of the limits, if ``within`` allows it.
        within: the range of the quantity; a value outside it is still contained.
        room: margin on both sides, as a share of the spread of the values.

    >>> at_least([0.499, 0.501], 0.2, (0, 1)), at_least([0.01, 0.02], 0.2, (0, 1))
    ((0.4, 0.6), (0.0, 0.2))
    >>> at_least([0.0, 1.0], 0.2, (0, 1))
    (0.0, 1.0)
    """
    finite = [float(value) for value in values if np.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    floor, ceiling = min(within[0], low), max(within[1], high)
    margin = max(room * (high - low), (least - (high - low)) / 2)
    low, high = low - margin, high + margin
    if low < floor:
        low, high = floor, max(high, floor + least)
    if high > ceiling:
        low, high = max(floor, min(low, ceiling - least)), ceiling
    return round(float(low), 12), round(float(high), 12)
