"""Intervals over replicates, and the slope of a line."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from gradlens.metrics.hsic import Array


class Interval(NamedTuple):
    """A mean with its two-sided confidence interval; the bounds are NaN below two replicates."""

    mean: float
    low: float
    high: float


def mean_interval(values: Array, level: float = 0.95) -> Interval:
    """Student's t interval of a mean; for paired differences give the differences.

    Args:
        values: ``[s]``; NaN values are left out.
        level: coverage.

    >>> mean_interval(np.array([1.0, 1.0, 1.0]))
    Interval(mean=1.0, low=1.0, high=1.0)
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if known.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = float(known.mean())
    if known.size < 2:
        return Interval(mean, float("nan"), float("nan"))
    error = float(known.std(ddof=1) / np.sqrt(known.size))
    reach = float(stats.t.ppf(0.5 + level / 2, known.size - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def half_widths(values: Array, level: float = 0.95) -> Array:
    """Half the width of Student's t interval of many means at once.

    Args:
        values: ``[s, ...]``; NaN values are left out.
        level: coverage.

    Returns:
        ``[...]``; NaN below two replicates.

    >>> half_widths(np.array([[1.0, 0.0], [1.0, 2.0]])).round(3)
    array([ 0.   , 12.706])
    """
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(known, (values - mean) ** 2, 0.0).sum(axis=0)
    free = np.maximum(count - 1, 1)
    reach = stats.t.ppf(0.5 + level / 2, free) * np.sqrt(squares / free / np.maximum(count, 1))
    return np.where(count > 1, reach, np.nan)


def slope(x: Array, y: Array) -> float:
    """Least-squares slope of ``y`` over ``x``; NaN below two distinct finite points."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 2 or np.ptp(x[known]) == 0:
        return float("nan")
    return float(np.polynomial.polynomial.polyfit(x[known], y[known], 1)[1])
