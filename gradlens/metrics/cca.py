"""Canonical correlations between gradients of different features, from their Grams."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gradlens.metrics.hsic import Array

VARIANCE = 0.99
"""Share of the variance that is kept before the correlations are computed (Raghu et al. 2017)."""


class Canonical(NamedTuple):
    """Mean canonical correlations of two gradients.

    Attributes:
        svcca: mean over the smaller number of directions.
        pwcca: mean weighted by each canonical direction's share of the first gradient.
        directions: number of directions kept of the first and of the second gradient.
    """

    svcca: float
    pwcca: float
    directions: tuple[int, int]


def canonical(a: Array, b: Array, variance: float = VARIANCE) -> Canonical:
    """SVCCA (Raghu et al. 2017, arXiv 1706.05806) and PWCCA (Morcos et al. 2018, arXiv 1806.05759).

    Singular vectors over samples are the eigenvectors of a centred Gram, and canonical correlations are
    the singular values of their inner products. The weights of PWCCA are ``hᵀ K h`` of a canonical
    direction ``h``, its share of the variance; Morcos sums ``|⟨h, x_j⟩|`` over features, which a Gram does
    not hold.

    Two random sets of ``k`` and ``l`` directions of ``n`` samples correlate by chance, and if
    ``k + l > n - 1`` some correlations are 1 for any gradients: the result is then NaN.

    Args:
        a: ``[n, n]``.
        b: ``[n, n]``, of the same samples.
        variance: share of the variance to keep, in (0, 1].

    >>> k = np.diag([1.0, 2.0, 3.0, 0, 0, 0, 0, 0, 0, 0])
    >>> round(canonical(k, k).svcca, 6)
    1.0
    """
    first, second = _directions(a, variance), _directions(b, variance)
    counts = (first.shape[1], second.shape[1])
    if 0 in counts or sum(counts) > len(a) - 1:
        return Canonical(math.nan, math.nan, counts)
    from scipy import linalg  # slow to import, and these correlations are computed on request only

    left, correlations, _ = linalg.svd(first.T @ second, full_matrices=False)
    correlations = np.clip(correlations, 0.0, 1.0)
    along = first @ left
    weights = np.einsum("ni,nm,mi->i", along, _centred(a), along)
    return Canonical(
        float(correlations.mean()), float((weights * correlations).sum() / weights.sum()), counts
    )


def _centred(gram: Array) -> Array:
    rows = gram.mean(axis=0, keepdims=True)
    return np.asarray(gram - rows - rows.T + gram.mean())


def _directions(gram: Array, variance: float) -> Array:
    """Return orthonormal directions over samples that hold a share of the variance, ``[n, k]``."""
    from scipy import linalg

    values, vectors = linalg.eigh(_centred(gram))
    values, vectors = values[::-1], vectors[:, ::-1]
    values = np.clip(values, 0.0, None)
    if not values.sum() > 0:
        return vectors[:, :0]
    kept = int(np.searchsorted(np.cumsum(values) / values.sum(), variance - 1e-12)) + 1
    return np.asarray(vectors[:, :kept])
