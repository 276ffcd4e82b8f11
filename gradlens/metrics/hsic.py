"""HSIC₁ and CKA between gradients of different features.

The unbiased estimator is an inner product of U-centred Grams, so for ``l`` signals the matrix of
HSICs is one product of an ``[l, s n²]`` matrix with its transpose.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradlens.errors import GradlensError

Array = NDArray[np.float64]

FEWEST = 4
"""Smallest number of samples for which the unbiased HSIC is defined."""
ROUNDING = 1e-6
"""Relative size below which the remainder of a float32 Gram counts as rounding error (measured: about 1e-7)."""


def u_center(grams: Array) -> Array:
    """Return U-centred Grams: every row sums to 0 and the diagonal is 0.

    Székely & Rizzo 2014, *Partial distance correlation*, eq. 2.2. The inner product of two
    such matrices, divided by ``n (n - 3)``, is HSIC₁ (Song et al. 2012).

    Args:
        grams: ``[..., n, n]``, symmetric.

    Raises:
        GradlensError: fewer than 4 samples.

    >>> k = np.arange(5.0)[:, None] * np.arange(5.0)
    >>> bool(np.allclose(u_center(k).sum(axis=0), 0))
    True
    """
    n = grams.shape[-1]
    if n < FEWEST:
        raise GradlensError(
            f"{n} samples per batch; the unbiased HSIC needs at least {FEWEST}: use larger batches"
        )
    centred = grams * (1.0 - np.eye(n))
    rows = centred.sum(axis=-1, keepdims=True)
    columns = centred.sum(axis=-2, keepdims=True)
    total = centred.sum(axis=(-1, -2), keepdims=True)
    centred -= (rows + columns) / (n - 2)
    centred += total / ((n - 1) * (n - 2))
    centred *= 1.0 - np.eye(n)
    return np.asarray(centred)


def direction(grams: Array) -> Array:
    """Grams of the samples' unit gradients, ``K_ij / √(K_ii K_jj)``: direction without magnitude.

    A sample whose gradient is exactly zero has no direction: its row and column are 0.

    Args:
        grams: ``[..., n, n]``.
    """
    norms = np.sqrt(np.diagonal(grams, axis1=-2, axis2=-1))
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return np.asarray(grams * inverse[..., :, None] * inverse[..., None, :])


def hsic_matrix(grams: Array) -> Array:
    """Unbiased HSIC₁ of every pair of signals, averaged over replicates, ``[l, l]``.

    Song et al. 2012, eq. 5, averaged over minibatches before any ratio is taken (Nguyen, Raghu &
    Kornblith 2021, arXiv 2010.15327, eq. 3). Positive semi-definite up to rounding.

    Args:
        grams: ``[l, s, n, n]``.
    """
    return np.asarray(hsic_by_replicate(grams).mean(axis=0))


def hsic_by_replicate(grams: Array) -> Array:
    """Unbiased HSIC₁ of every pair of signals in each replicate, ``[s, l, l]``; their mean is ``hsic_matrix``.

    Args:
        grams: ``[l, s, n, n]``.
    """
    signals, replicates, n, _ = grams.shape
    flat = u_center(grams).reshape(signals, replicates, n * n).swapaxes(0, 1)
    return np.asarray(flat @ flat.swapaxes(1, 2) / (n * (n - 3)))


def is_constant(grams: Array) -> NDArray[np.bool_]:
    """Return which signals vary over samples by no more than rounding; their CKA is undefined.

    Args:
        grams: ``[l, s, n, n]``.

    Returns:
        ``[l]``; an exactly zero signal counts as constant.
    """
    return is_rounding(np.square(u_center(grams)).sum(axis=(1, 2, 3)), np.square(grams).sum(axis=(1, 2, 3)))


def is_rounding(varied: Array, whole: Array) -> NDArray[np.bool_]:
    """Return which signals vary over samples by no more than rounding, from the sums behind ``is_constant``.

    Args:
        varied: sum of the squares of the U-centred Grams, ``[l]``.
        whole: sum of the squares of the Grams, ``[l]``.
    """
    return np.asarray(varied <= ROUNDING**2 * whole)


def cka(hsic: Array) -> Array:
    """CKA of every pair of signals, ``H_ij / √(H_ii H_jj)``; at most 1, NaN if a signal has no HSIC.

    Kornblith et al. 2019, arXiv 1905.00414, eq. 2, with the unbiased estimator; for unrelated
    signals it is about 0 and may be slightly negative.

    Args:
        hsic: ``[l, l]`` of ``hsic_matrix``.
    """
    scale = np.sqrt(np.clip(np.diagonal(hsic), 0.0, None))
    outer = np.outer(scale, scale)
    return np.asarray(np.divide(hsic, outer, out=np.full_like(hsic, np.nan), where=outer > 0))


def partial_hsic(hsic: Array, index: int) -> Array:
    """HSICs after partialling out signal ``index``: ``H_ij - H_i0 H_0j / H_00``.

    A Schur complement, so positive semi-definite if ``hsic`` is (partial HSIC; Székely & Rizzo 2014). The row of
    ``index``, and the rows of signals that it explains up to rounding, become exactly 0, and NaN in ``cka``.

    Args:
        hsic: ``[l, l]``.
        index: the signal to condition on, commonly the loss signal.
    """
    if not hsic[index, index] > 0:
        return np.full_like(hsic, np.nan)
    rest = hsic - np.outer(hsic[:, index], hsic[index]) / hsic[index, index]
    explained = np.diagonal(rest) <= ROUNDING * np.diagonal(hsic)
    rest[explained, :] = 0.0
    rest[:, explained] = 0.0
    return np.asarray(rest)
