"""Numbers of tables from Grams ``grams[signal][batch]`` of one seed, by loops and enumeration."""

from __future__ import annotations

from itertools import combinations, product
from math import exp, log, sqrt

import numpy as np
from oracles.cka import hsic1
from scipy import stats


def unit(gram):
    """Return the Gram of the samples' gradients scaled to length 1."""
    return [
        [value / sqrt(gram[i][i] * gram[j][j]) for j, value in enumerate(row)] for i, row in enumerate(gram)
    ]


def similarity(signals, loss=None, direction=False):
    """Return the CKA matrix of signals, given the loss signal if there is one; NaN for those that it explains."""
    grams = [[unit(gram) if direction else gram for gram in batches] for batches in signals]
    if loss is not None:
        grams.append([unit(gram) if direction else gram for gram in loss])
    count = len(grams)
    h = np.zeros((count, count))
    for i, j in product(range(count), repeat=2):
        if i <= j:
            h[i, j] = h[j, i] = np.mean([hsic1(a, b) for a, b in zip(grams[i], grams[j], strict=True)])
    if loss is not None:
        rest = h - np.outer(h[-1], h[-1]) / h[-1, -1]
        rest[np.diag(rest) < 1e-9 * np.diag(h)] = np.nan
        h = rest[:-1, :-1]
    return h / np.sqrt(np.outer(np.diag(h), np.diag(h)))


def distinct(matrix):
    """Return the exponential of the entropy of the eigenvalues of ``S / L``."""
    return exp(-sum(p * log(p) for p in np.linalg.eigvalsh(matrix) / len(matrix) if p > 0))


def duplication(matrix, m):
    """Return D_m by enumeration of all subsets of m signals."""
    subsets = [list(subset) for subset in combinations(range(len(matrix)), m)]
    return (m - np.mean([distinct(matrix[np.ix_(subset, subset)]) for subset in subsets])) / (m - 1)


def mean_similarity(matrix):
    """Return the mean over all pairs of signals."""
    return np.mean([matrix[i, j] for i, j in combinations(range(len(matrix)), 2)])


def half_width(values):
    """Return half of the 95 % t interval of a mean."""
    return stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / sqrt(len(values))
