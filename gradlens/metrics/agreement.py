"""Agreement of the samples of a batch on the update, from one Gram."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradlens.metrics.hsic import Array, direction

CANCELS = 1e-6
"""Share of the energy below which the squared norm of a sum is rounding of a Gram computed in float32."""


def gradient_diversity(gram: Array) -> float:
    """``Σ‖g_i‖² / ‖Σ g_i‖²``: ``1/n`` if all agree, 1 if they are orthogonal, larger if they cancel.

    Yin et al. 2018, arXiv 1706.05699, definition 2.

    Args:
        gram: ``[n, n]``.

    Returns:
        NaN for a zero Gram, infinity for gradients that cancel up to the rounding of the Gram (``CANCELS``).

    >>> gradient_diversity(np.eye(4))
    1.0
    """
    return float(diversities(gram))


def diversities(grams: Array) -> Array:
    """``gradient_diversity`` of each Gram ``[..., n, n]``, as ``[...]``."""
    energy, total = np.trace(grams, axis1=-2, axis2=-1), grams.sum(axis=(-2, -1))
    diversity = np.where(energy > 0, np.inf, np.nan)
    return np.asarray(
        np.divide(energy, total, out=diversity, where=(energy > 0) & (total > CANCELS * energy))
    )


def stiffness(gram: Array, labels: NDArray[np.int64] | None = None) -> tuple[float, float]:
    """Mean cosine between samples, within a class and across classes.

    Fort et al. 2019, arXiv 1901.09491, eq. 4 (the cosine form). Samples without a gradient are
    left out.

    Args:
        gram: ``[n, n]``.
        labels: ``[n]``; without labels every pair counts as across.

    Returns:
        (within, across), each in [-1, 1] or NaN if there is no such pair.
    """
    within, across, _ = cosines_of_samples(gram, labels)
    return float(within), float(across)


def confusion(gram: Array) -> float:
    """The smallest cosine between two samples' gradients, in [-1, 1].

    Sankararaman et al. 2020, arXiv 1904.06963, definition 2.1 in its cosine form.

    Args:
        gram: ``[n, n]``.

    Returns:
        NaN if fewer than two samples have a gradient.
    """
    return float(cosines_of_samples(gram)[2])


def cosines_of_samples(grams: Array, labels: NDArray[np.int64] | None = None) -> tuple[Array, Array, Array]:
    """``stiffness`` (within, across) and ``confusion`` of each Gram, from one matrix of cosines.

    Args:
        grams: ``[..., n, n]``.
        labels: ``[..., n]``; without labels every pair counts as across.

    Returns:
        Three arrays ``[...]``; NaN where there is no such pair.
    """
    alive = np.diagonal(grams, axis1=-2, axis2=-1) > 0
    pairs = alive[..., :, None] & alive[..., None, :] & ~np.eye(grams.shape[-1], dtype=bool)
    same = np.zeros_like(pairs) if labels is None else labels[..., :, None] == labels[..., None, :]
    cosines = direction(grams)
    smallest = cosines.min(axis=(-2, -1), where=pairs, initial=np.inf)
    confused = np.where(np.isfinite(smallest), smallest, np.nan)
    return _mean(cosines, pairs & same), _mean(cosines, pairs & ~same), confused


def _mean(values: Array, counted: NDArray[np.bool_]) -> Array:
    """Return the mean of the counted elements of each matrix ``[..., n, n]``; NaN if there are none."""
    counts = counted.sum(axis=(-2, -1))
    sums = values.sum(axis=(-2, -1), where=counted)
    return np.asarray(np.divide(sums, counts, out=np.full(np.shape(sums), np.nan), where=counts > 0))
