"""The effective number of distinct signals, and their duplication."""

from __future__ import annotations

import numpy as np

from gradlens.metrics.hsic import Array


def effective_number(similarity: Array) -> float:
    """Effective number of distinct signals, ``exp(H(λ(S) / l))``, between 1 and ``l``.

    The entropy of the eigenvalues of a similarity matrix with unit diagonal (the Vendi score of
    Friedman & Dieng 2023, arXiv 2210.02410, with CKA as the kernel).

    Args:
        similarity: CKA matrix ``[l, l]`` without NaN.

    Returns:
        NaN for an empty matrix.

    >>> round(effective_number(np.eye(4)), 9)
    4.0
    """
    if similarity.shape[0] == 0:
        return float("nan")
    eigenvalues = np.clip(np.linalg.eigvalsh((similarity + similarity.T) / 2), 0.0, None)
    p = eigenvalues / eigenvalues.sum()
    p = p[p > 0]
    return float(np.exp(-(p * np.log(p)).sum()))


def duplication(similarity: Array) -> float:
    """``D = (l - N_eff) / (l - 1)``: 0 if all signals are unrelated, 1 if they are copies.

    Args:
        similarity: CKA matrix ``[l, l]`` without NaN.

    Returns:
        NaN for fewer than two signals, which cannot duplicate each other.

    >>> round(duplication(np.ones((3, 3))), 9)
    1.0
    """
    signals = similarity.shape[0]
    if signals < 2:
        return float("nan")
    return float((signals - effective_number(similarity)) / (signals - 1))


def duplication_bias(m: float, n: int, replicates: int) -> float:
    """Duplication expected of ``m`` unrelated signals, from the noise of the estimated similarities.

    An unbiased CKA between unrelated signals has variance ``2 / (n (n - 3))`` for one batch, and ``b`` batches divide
    it by ``b``; to second order in these, ``E D = m / (n (n - 3) b)``. It falls with ``n²``, so larger batches reduce
    it more than further ones.

    Args:
        m: number of signals.
        n: samples per batch, at least 4.
        replicates: number of batches.

    Returns:
        At most 1; NaN for fewer than 4 samples, or without a batch.

    >>> round(duplication_bias(12, 16, 1), 3), round(duplication_bias(12, 32, 8), 4)
    (0.058, 0.0016)
    """
    if n < 4 or replicates < 1:
        return float("nan")
    return min(m / (n * (n - 3) * replicates), 1.0)


def mean_similarity(similarity: Array) -> float:
    """Mean off-diagonal element of a CKA matrix ``[l, l]``; NaN for fewer than two signals."""
    signals = similarity.shape[0]
    if signals < 2:
        return float("nan")
    return float(similarity[~np.eye(signals, dtype=bool)].mean())
