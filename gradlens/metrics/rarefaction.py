"""Duplication at one common number of signals, and similarity by distance.

D of all signals depends on how many there are. Ecology compares numbers of kinds between samples of different
size at one size (rarefaction: Hurlbert 1971, "The nonconcept of species diversity"). Here it is the effective number
of distinct signals among ``m`` signals drawn without replacement.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice
from math import comb

import numpy as np
from numpy.typing import NDArray

from gradlens.metrics.duplication import effective_number
from gradlens.metrics.hsic import Array

STANDARD_ERROR = 0.001
"""Largest standard error of a rarefied duplication that is estimated from draws."""
BLOCK = 64
"""Draws between two looks at the standard error (fewer of large subsets)."""
ENUMERATED = 1024
"""Subsets that are enumerated rather than drawn, unless they are large: about as many draws would be needed."""
COARSE = 12
"""Draws of a block if a larger error is allowed."""
ELEMENTS = 8192
"""Signals in all subsets of a block."""
MOST = 2**18
"""Bound on the draws: a standard deviation of 0.5, the largest possible, needs 250,000."""


def rarefied_number(similarity: Array, m: int, error: float = STANDARD_ERROR) -> float:
    """Expected effective number of distinct signals among ``m`` signals drawn without replacement.

    Exact for ``m = 1`` (1), ``m = 2`` (``E exp(h((1 + s) / 2))`` over all pairs, ``h`` the binary entropy in nats),
    ``m = l``, and if there are few subsets; else the mean of seeded draws, until the standard error of
    ``rarefied_duplication`` is below ``error``.

    Args:
        similarity: CKA matrix ``[l, l]`` without NaN.
        m: number of signals, at least 1.
        error: largest standard error, of the result divided by ``m - 1``.

    Returns:
        Between 1 and ``m``; NaN for ``m > l``.

    Raises:
        ValueError: ``m < 1``.

    >>> round(rarefied_number(np.eye(4), 3), 9)
    3.0
    """
    signals = similarity.shape[0]
    if m < 1:
        raise ValueError(f"m is {m}; it must be at least 1")
    if m > signals:
        return float("nan")
    if m == signals:
        return effective_number(similarity)
    if m == 1:
        return 1.0
    if m == 2:
        rows, columns = np.triu_indices(signals, 1)
        return float(_numbers_of_pairs(similarity[rows, columns]).mean())
    return _mean_over_subsets(similarity, m, error)


def rarefied_duplication(similarity: Array, m: int) -> float:
    """``D_m = (m - E N_eff(m)) / (m - 1)``: the duplication expected among ``m`` signals drawn without replacement.

    Unlike D of all signals it can be compared between sets of different size, at one ``m``. It does not change if
    exchangeable signals are thinned, it grows with ``m``, and at ``m = l`` it is ``duplication``.

    Args:
        similarity: CKA matrix ``[l, l]`` without NaN.
        m: number of signals, at least 2.

    Returns:
        0 if all signals are unrelated, 1 if they are copies; NaN for ``m > l``. The standard error is below 0.001.

    Raises:
        ValueError: ``m < 2``.

    >>> round(rarefied_duplication(np.ones((5, 5)), 3), 9)
    1.0
    """
    if m < 2:
        raise ValueError(f"m is {m}; it must be at least 2, since one signal cannot duplicate itself")
    return (m - rarefied_number(similarity, m)) / (m - 1)


def similarity_by_lag(similarity: Array) -> Array:
    """Mean similarity of signals ``k`` apart, ``[l - 1]`` for ``k = 1 … l - 1``.

    It separates a chain, in which only neighbours are alike, from signals that are all equally alike.

    Args:
        similarity: CKA matrix ``[l, l]``, signals in depth order. Pairs without a value (NaN) are left out.

    >>> similarity_by_lag(np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.5], [0.1, 0.5, 1.0]])).tolist()
    [0.5, 0.1]
    """
    return np.array([np.nanmean(np.diagonal(similarity, lag)) for lag in range(1, similarity.shape[0])])


def _mean_over_subsets(similarity: Array, m: int, error: float) -> float:
    """Return the mean of ``effective_number`` over subsets of ``m`` signals, 2 < m < l."""
    signals = similarity.shape[0]
    count = comb(signals, m)
    if count <= BLOCK or (error <= STANDARD_ERROR and count <= min(ENUMERATED, 2 * ELEMENTS // m)):
        return float(_numbers(similarity, np.array(list(combinations(range(signals), m)))).mean())
    tolerance = error * (m - 1)
    values = np.empty(0)
    block = max(8, min(BLOCK, ELEMENTS // m)) if error <= STANDARD_ERROR else COARSE
    for subsets in islice(_draws(signals, m, block), MOST // block):
        values = np.concatenate([values, _numbers(similarity, subsets)])
        if values.std(ddof=1) < tolerance * np.sqrt(values.size):
            break
    return float(values.mean())


def _draws(signals: int, m: int, block: int) -> Iterator[NDArray[np.intp]]:
    """Draw subsets ``[block, m]`` without end, the same in every call."""
    generator = np.random.default_rng(0)
    while True:
        order = np.argsort(generator.random((block, signals)), axis=1)
        yield np.sort(order[:, :m], axis=1)


def _numbers(similarity: Array, subsets: NDArray[np.intp]) -> Array:
    """Return ``effective_number`` of each subset ``[d, m]``, as ``[d]``."""
    matrices = similarity[subsets[:, :, None], subsets[:, None, :]]
    eigenvalues = np.linalg.eigvalsh((matrices + matrices.swapaxes(1, 2)) / 2)
    return _entropy_exponential(np.asarray(eigenvalues, dtype=np.float64))


def _numbers_of_pairs(similarities: Array) -> Array:
    """Return ``effective_number`` of pairs: the eigenvalues of ``[[1, s], [s, 1]]`` are ``1 ± s``."""
    return _entropy_exponential(np.stack([1 - similarities, 1 + similarities], axis=1))


def _entropy_exponential(eigenvalues: Array) -> Array:
    """Return ``exp(H)`` of eigenvalues ``[d, m]``; rounding below 0 counts as 0."""
    p = np.clip(eigenvalues, 0.0, None)
    p /= p.sum(axis=1, keepdims=True)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(np.exp(-(p * logs).sum(axis=1)))
