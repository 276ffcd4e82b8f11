"""Paired differences over replicates, correlations, and the correction of p-values for many comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradlens.metrics.distributions import normal_quantile, t_probability, t_quantile
from gradlens.metrics.hsic import Array
from gradlens.metrics.intervals import mean_interval

ROUNDING = 1e-12
"""Relative spread below which measurements are equal up to rounding."""
NEARLY = 1e-13
"""Norm of centred values, relative to their mean, below which they are constant up to rounding."""
CLOSEST = 1 - ROUNDING
"""Largest correlation to which Fisher's transform is applied, and largest rank correlation with an interval."""
ORDERED = 8
"""Largest number of runs of which all orders are enumerated for the p-value of a rank correlation."""
FLIPPED = 13
"""Largest number of replicates of which all sign flips are enumerated."""


class Paired(NamedTuple):
    """A paired comparison.

    Attributes:
        difference: mean of ``b - a``.
        low: of the t interval.
        high: of the t interval.
        p: two-sided, paired t test (Student 1908).
        p_permutation: two-sided, all sign flips of the differences; at least ``2 / 2**s``.
    """

    difference: float
    low: float
    high: float
    p: float
    p_permutation: float


def paired(a: Array, b: Array, level: float = 0.95) -> Paired:
    """Compare two measurements of the same replicates.

    Replicates in which either value is NaN are left out. With fewer than two replicates, or if all differences are
    equal up to rounding, the p-values are NaN (and the interval, with fewer than two).

    Args:
        a: ``[s]``.
        b: ``[s]``, of the same replicates.
        level: coverage of the interval.

    >>> round(paired(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.5, 4.1])).difference, 3)
    1.2
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    differences = b - a
    mean, low, high = mean_interval(differences, level)
    if differences.size < 2 or np.ptp(differences) <= ROUNDING * float(np.abs([a, b]).max()):
        return Paired(mean, low, high, math.nan, math.nan)
    count = differences.size
    variance = np.mean((differences - mean) ** 2) * (count / (count - 1))
    p = float(2 * t_probability(count - 1, -abs(mean) / np.sqrt(variance / count)))
    return Paired(mean, low, high, p, _p_of_flips(differences))


def _p_of_flips(differences: Array) -> float:
    """Return the share of sign flips whose mean is at least as far from 0: of all, or of 9999 random ones."""
    if differences.size > FLIPPED:
        from scipy import stats  # slow to import, and few runs have so many replicates

        random = np.random.default_rng(0)
        return float(
            stats.permutation_test(
                (differences,), np.mean, permutation_type="samples", n_resamples=9999, rng=random
            ).pvalue
        )
    signs = np.array(list(product((1.0, -1.0), repeat=differences.size)))
    sums = np.abs(signs @ differences)
    return float(np.mean(sums >= sums[0] * (1 - ROUNDING)))


def p_of_half_widths(
    differences: Array, half_widths: Array, count: int | Array, level: float = 0.95
) -> Array:
    """Two-sided p-values of differences from the half-widths of their t intervals (Student 1908).

    Args:
        differences: ``[...]``.
        half_widths: ``[...]``, of t intervals.
        count: number of replicates behind each interval, ``[...]`` or the same for all.
        level: coverage of the intervals.

    Returns:
        ``[...]``; NaN where the half-width is NaN, or 0 up to rounding.

    >>> p_of_half_widths(np.array([12.706]), np.array([12.706]), 2).round(3)
    array([0.05])
    """
    half_widths = np.asarray(half_widths, dtype=np.float64)
    free = np.maximum(np.asarray(count) - 1, 1)
    known = half_widths > ROUNDING * np.abs(differences)
    scale = np.where(known, half_widths, np.nan) / t_quantile(free, 0.5 + level / 2)
    return np.asarray(2 * t_probability(free, -np.abs(differences) / scale))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for a family of comparisons (Holm 1979); NaN values are not counted.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(p))
    corrected = np.full(p.size, math.nan)
    highest = 0.0
    for rank, index in enumerate(known[np.argsort(p[known], kind="stable")]):
        highest = max(highest, min(1.0, (known.size - rank) * float(p[index])))
        corrected[index] = highest
    return [float(value) for value in corrected]


class Association(NamedTuple):
    """A correlation coefficient with its interval and p-value."""

    value: float
    low: float
    high: float
    p: float


def association(
    x: Array, y: Array, kind: str = "pearson", level: float = 0.95, removed: int = 0
) -> Association:
    """Correlation of two measurements over runs.

    Args:
        x: ``[r]``.
        y: ``[r]``; runs in which either value is NaN are left out.
        kind: ``pearson`` with Fisher's interval, or ``spearman`` with the interval of Bonett & Wright (2000).
        level: coverage of the interval.
        removed: independent means that were subtracted from both, besides the mean of all runs: one less than the
            number of groups if each group was centred. The standard error is that of ``r - removed`` runs.

    Returns:
        NaN for fewer than four runs, or if one of the two is constant up to rounding. The interval is NaN if fewer than
        four runs remain after subtracting ``removed``, and p if fewer than three remain. p is by Student's t; for
        Spearman with at most eight runs by all orders of the runs, so with four it is at least 1/12. Perfect ranks
        have no interval, and no p where the orders are not enumerated: both would be exact for any number of runs.

    >>> round(association(np.arange(4.0), np.exp(np.arange(4.0)), "spearman").p, 4)
    0.0833
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x, dtype=np.float64)[known], np.asarray(y, dtype=np.float64)[known]
    first, second = _direction(x), _direction(y)
    if x.size < 4 or first is None or second is None:
        return Association(math.nan, math.nan, math.nan, math.nan)
    if kind == "pearson":
        value = min(max(float(first @ second), -1.0), 1.0)
    else:
        from scipy import stats  # slow to import, and plots of saved runs do not need it

        value = float(stats.spearmanr(x, y).statistic)
    free = x.size - removed
    enumerable = kind == "spearman" and not removed and x.size <= ORDERED
    p = _p_of_orders(x, y) if enumerable else _p_of_correlation(value, free)
    if kind == "spearman" and abs(value) > CLOSEST:
        return Association(value, math.nan, math.nan, p if enumerable else math.nan)
    return Association(value, *_fisher_interval(value, free, kind, level), p)


def _direction(values: Array) -> Array | None:
    """Return the centred values divided by their norm, ``[r]``; None if they are constant up to rounding."""
    if not values.size or not np.ptp(values):
        return None
    centred = values - values.mean()
    largest = np.abs(centred).max()  # the squares of values divided by it can neither overflow nor vanish
    norm = largest * math.sqrt(((centred / largest) ** 2).sum())
    return None if norm < NEARLY * abs(values.mean()) else np.asarray(centred / norm)


def _fisher_interval(value: float, runs: int, kind: str, level: float) -> tuple[float, float]:
    """Return the interval of a correlation of ``runs`` independent runs; NaN below four."""
    if runs < 4:
        return math.nan, math.nan
    variance = 1 if kind == "pearson" else 1 + value**2 / 2
    spread = math.sqrt(variance / (runs - 3)) * normal_quantile(0.5 + level / 2)
    centre = math.atanh(min(max(value, -CLOSEST), CLOSEST))
    return math.tanh(centre - spread), math.tanh(centre + spread)


def _p_of_correlation(value: float, runs: int) -> float:
    """Return the two-sided p-value of a correlation by Student's t; NaN below three runs."""
    if runs < 3:
        return math.nan
    remaining = max(1 - value**2, np.finfo(float).eps)
    return float(2 * t_probability(runs - 2, -abs(value) * math.sqrt((runs - 2) / remaining)))


def _p_of_orders(x: Array, y: Array) -> float:
    """Return the share of all orders of ``y`` whose rank correlation with ``x`` is at least as far from 0."""
    ranks, others = (_mean_ranks(np.unique(values, return_inverse=True)[1]) for values in (x, y))
    products = np.array(list(permutations(others))) @ ranks
    return float(np.mean(np.abs(products) >= abs(others @ ranks) - 1e-9))


def _mean_ranks(places: NDArray[np.intp]) -> Array:
    """Return centred ranks, equal values with the mean of theirs."""
    counts = np.bincount(places)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return np.asarray(ranks[places] - ranks[places].mean())
