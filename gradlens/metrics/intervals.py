"""Intervals over replicates, and lines through points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradlens.metrics.distributions import t_quantile
from gradlens.metrics.hsic import Array


class Interval(NamedTuple):
    """A mean with its two-sided confidence interval; the bounds are NaN below two replicates."""

    mean: float
    low: float
    high: float


class Line(NamedTuple):
    """``y = slope * x + intercept``."""

    slope: float
    intercept: float


def mean_interval(values: Array, level: float = 0.95) -> Interval:
    """Student's t interval of a mean; for paired differences pass the differences.

    Args:
        values: ``[s]``; NaN values are left out.
        level: coverage of the interval.

    >>> mean_interval(np.array([1.0, 1.0, 1.0]))
    Interval(mean=1.0, low=1.0, high=1.0)
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    mean = float(known.mean()) if known.size else float("nan")
    half_width = float(half_widths(known, level))
    return Interval(mean, mean - half_width, mean + half_width)


def half_widths(values: Array, level: float = 0.95) -> Array:
    """Half-widths of Student's t intervals of many means at once.

    Args:
        values: ``[s, ...]``; NaN values are left out.
        level: coverage of the interval.

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
    half = t_quantile(free, 0.5 + level / 2) * np.sqrt(squares / free / np.maximum(count, 1))
    return np.where(count > 1, half, np.nan)


def fitted_line(x: Array, y: Array) -> Line:
    """Least-squares line of ``y`` over ``x``; NaN below two distinct finite points.

    >>> [round(value, 6) for value in fitted_line(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]))]
    [2.0, 1.0]
    """
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 2 or np.ptp(x[known]) == 0:
        return Line(float("nan"), float("nan"))
    intercept, slope = np.polynomial.polynomial.polyfit(x[known], y[known], 1)
    return Line(float(slope), float(intercept))


def slope(x: Array, y: Array) -> float:
    """Least-squares slope of ``y`` over ``x``; NaN below two distinct finite points."""
    return fitted_line(x, y).slope
