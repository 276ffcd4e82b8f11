"""Paired differences over replicates, correlations, and the correction of p-values for many comparisons."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradlens.metrics.hsic import Array
from gradlens.metrics.intervals import mean_interval

CLOSEST = 1 - 1e-12
"""Largest rank correlation to which Fisher's transform is applied, because the transform of 1 is infinite."""


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
    equal, the p-values are NaN (and the interval, with fewer than two).

    Args:
        a: ``[s]``.
        b: ``[s]``, of the same replicates.
        level: coverage of the interval.

    >>> round(paired(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.5, 4.1])).difference, 3)
    1.2
    """
    from scipy import stats  # slow to import, and plots of saved runs do not need it

    differences = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    differences = differences[np.isfinite(differences)]
    mean, low, high = mean_interval(differences, level)
    if differences.size < 2 or np.ptp(differences) == 0:
        return Paired(mean, low, high, math.nan, math.nan)
    flips = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(0)
    )
    return Paired(mean, low, high, float(stats.ttest_1samp(differences, 0.0).pvalue), float(flips.pvalue))


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


def association(x: Array, y: Array, kind: str = "pearson", level: float = 0.95) -> Association:
    """Correlation of two measurements over runs.

    Args:
        x: ``[r]``.
        y: ``[r]``; runs in which either value is NaN are left out.
        kind: ``pearson`` with Fisher's interval, or ``spearman`` with the interval of Bonett & Wright (2000).
        level: coverage of the interval.

    Returns:
        NaN for fewer than four runs, or if one of the two is constant up to rounding.
    """
    from scipy import stats  # slow to import, and plots of saved runs do not need it

    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.asarray(x)[known], np.asarray(y)[known]
    unknown = Association(math.nan, math.nan, math.nan, math.nan)
    if x.size < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return unknown
    with warnings.catch_warnings():
        warnings.simplefilter("error", stats.NearConstantInputWarning)
        try:
            correlation = stats.pearsonr(x, y)
        except stats.NearConstantInputWarning:
            return unknown
    if kind == "pearson":
        low, high = correlation.confidence_interval(level)
        return Association(float(correlation.statistic), float(low), float(high), float(correlation.pvalue))
    rank = stats.spearmanr(x, y)
    value = float(rank.statistic)
    spread = math.sqrt((1 + value**2 / 2) / (x.size - 3)) * float(stats.norm.ppf(0.5 + level / 2))
    centre = math.atanh(min(max(value, -CLOSEST), CLOSEST))
    return Association(value, math.tanh(centre - spread), math.tanh(centre + spread), float(rank.pvalue))
