"""The number of directions that a batch of gradients spans, from its Gram. The Gram is not centred here."""

from __future__ import annotations

import numpy as np

from gradlens.metrics.hsic import Array

ROUNDING = 1e-7
"""Eigenvalues below this share of the largest are rounding of a Gram computed in float32."""


def effective_rank(gram: Array) -> float:
    """``exp(H(p))``, ``p = σ / Σσ`` over the *singular values* of G, between 1 and ``n``.

    Roy & Vetterli 2007, *The effective rank*. The entropy runs over σ = √λ(K), not over λ(K). Eigenvalues below
    ``ROUNDING`` of the largest count as rounding: directions with less than 3e-4 of the largest singular value are
    left out.

    Args:
        gram: ``[n, n]``.

    Returns:
        NaN for a zero Gram, which spans no direction.

    >>> round(effective_rank(np.eye(3)), 9)
    3.0
    """
    return float(ranks(gram)[0])


def stable_rank(gram: Array) -> float:
    """``Σλ / λ_max``, the squared Frobenius norm of G over its squared spectral norm; NaN for a zero Gram."""
    return float(ranks(gram)[1])


def participation_ratio(gram: Array) -> float:
    """``(Σλ)² / Σλ²``, between 1 and ``n``; NaN for a zero Gram."""
    return float(ranks(gram)[2])


def ranks(grams: Array) -> tuple[Array, Array, Array]:
    """Effective rank, stable rank and participation ratio of each Gram, from one decomposition.

    Args:
        grams: ``[..., n, n]``.

    Returns:
        Three arrays ``[...]``; NaN for a zero Gram.
    """
    eigenvalues = np.linalg.eigvalsh(grams)
    top = eigenvalues.max(axis=-1, initial=0.0)
    eigenvalues = np.where(eigenvalues > top[..., None] * ROUNDING, eigenvalues, 0.0)
    sigma = np.sqrt(eigenvalues)
    p = _ratio(sigma, sigma.sum(axis=-1, keepdims=True))
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    trace, squares = np.trace(grams, axis1=-2, axis2=-1), np.square(grams).sum(axis=(-2, -1))
    return np.exp(-(p * logs).sum(axis=-1)), _ratio(eigenvalues.sum(axis=-1), top), _ratio(trace**2, squares)


def _ratio(part: Array, whole: Array) -> Array:
    """Return ``part / whole``; NaN where ``whole`` is not positive."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0))
