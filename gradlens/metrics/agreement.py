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
    energy, total = float(np.trace(gram)), float(gram.sum())
    if not energy > 0:
        return float("nan")
    return energy / total if total > CANCELS * energy else float("inf")


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
    alive = np.diagonal(gram) > 0
    pairs = np.outer(alive, alive) & ~np.eye(len(gram), dtype=bool)
    same = np.zeros_like(pairs) if labels is None else labels[:, None] == labels[None, :]
    cosine = direction(gram)
    return _mean(cosine[pairs & same]), _mean(cosine[pairs & ~same])


def confusion(gram: Array) -> float:
    """The smallest cosine between two samples' gradients, in [-1, 1].

    Sankararaman et al. 2020, arXiv 1904.06963, definition 2.1 in its cosine form.

    Args:
        gram: ``[n, n]``.

    Returns:
        NaN if fewer than two samples have a gradient.
    """
    alive = np.diagonal(gram) > 0
    pairs = np.outer(alive, alive) & ~np.eye(len(gram), dtype=bool)
    cosines = direction(gram)[pairs]
    return float(cosines.min()) if cosines.size else float("nan")


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")
