"""Reference values of duplication: under independence (a permutation null), and the ceiling due to noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradlens.metrics.duplication import duplication
from gradlens.metrics.hsic import Array, cka, hsic_matrix, partial_hsic


class Null(NamedTuple):
    """Values of a statistic under independence.

    Attributes:
        mean: over permutations.
        high: 95 % quantile.
        p: ``(1 + values at least as large as the observed) / (1 + permutations)``.
    """

    mean: float
    high: float
    p: float


def permutation_null(
    grams: Array,
    permutations: int = 99,
    seed: int = 0,
    statistic: Callable[[Array], float] | None = None,
    loss: Array | None = None,
) -> Null:
    """Values of a statistic after the samples of each signal are shuffled independently.

    Each signal keeps the spectrum of its Gram; only the correspondence of samples is lost.

    Args:
        grams: ``[l, s, n, n]``, live signals.
        permutations: number of permutations.
        seed: determines the permutations.
        statistic: function of the CKA matrix ``[l, l]``; duplication by default.
        loss: Gram of the loss signal ``[s, n, n]``, which is not shuffled; if passed, all values are given the loss.

    Returns:
        NaN for fewer than two signals.
    """
    if len(grams) < 2:
        return Null(math.nan, math.nan, math.nan)
    measure = statistic or duplication
    observed = measure(_similarity(grams, loss))
    random = np.random.default_rng(seed)
    values = np.array([measure(_similarity(_shuffled(grams, random), loss)) for _ in range(permutations)])
    beyond = int((values >= observed).sum())
    return Null(float(values.mean()), float(np.quantile(values, 0.95)), (1 + beyond) / (1 + permutations))


def split_half(half: Array, whole: Array) -> Array:
    """CKA of one half of a signal's features with the other half, ``[l]``: a ceiling of similarity.

    Two halves of one gradient are as similar as two measurements of the same quantity can be at this number of
    samples; if the similarity of two layers is near it, the layers cannot be distinguished.

    Args:
        half: Grams of half of the features, ``[l, s, n, n]``.
        whole: Grams of all features.
    """
    rest = whole - half
    return np.array([cka(hsic_matrix(np.stack(halves)))[0, 1] for halves in zip(half, rest, strict=True)])


def _similarity(grams: Array, loss: Array | None) -> Array:
    """Return the CKA, given the loss if ``loss`` is passed, without signals that the loss explains entirely."""
    if loss is None:
        return cka(hsic_matrix(grams))
    count = len(grams)
    similarity = cka(partial_hsic(hsic_matrix(np.concatenate([grams, loss[None]])), count))[:count, :count]
    kept = np.flatnonzero(np.isfinite(np.diagonal(similarity)))
    return similarity[np.ix_(kept, kept)]


def _shuffled(grams: Array, random: np.random.Generator) -> Array:
    signals, replicates, n, _ = grams.shape
    order = random.permuted(np.tile(np.arange(n), (signals, replicates, 1)), axis=2)
    rows = np.take_along_axis(grams, order[..., :, None], axis=2)
    return np.asarray(np.take_along_axis(rows, order[..., None, :], axis=3))
