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
    sigma = np.sqrt(_eigenvalues(gram))
    if not sigma.sum() > 0:
        return float("nan")
    p = sigma / sigma.sum()
    p = p[p > 0]
    return float(np.exp(-(p * np.log(p)).sum()))


def stable_rank(gram: Array) -> float:
    """``Σλ / λ_max``, the squared Frobenius norm of G over its squared spectral norm; NaN for a zero Gram."""
    eigenvalues = _eigenvalues(gram)
    top = eigenvalues.max(initial=0.0)
    return float(eigenvalues.sum() / top) if top > 0 else float("nan")


def participation_ratio(gram: Array) -> float:
    """``(Σλ)² / Σλ²``, between 1 and ``n``; NaN for a zero Gram."""
    squares = float(np.square(gram).sum())
    return float(np.trace(gram)) ** 2 / squares if squares > 0 else float("nan")


def _eigenvalues(gram: Array) -> Array:
    """Return the eigenvalues of a positive semi-definite matrix; rounding errors of zero eigenvalues become 0."""
    eigenvalues = np.linalg.eigvalsh(gram)
    floor = eigenvalues.max(initial=0.0) * ROUNDING
    return np.where(eigenvalues > floor, eigenvalues, 0.0)
