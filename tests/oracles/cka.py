"""Slow float64 transcriptions of HSIC and CKA, one index at a time, without vectorisation."""

from __future__ import annotations

from itertools import permutations
from math import sqrt


def hsic1(k, l):  # noqa: E741  # the letters of the paper
    """Unbiased HSIC, Song et al. 2012 (JMLR 13), eq. 5.

    ``[tr(K̃L̃) + 1ᵀK̃1 1ᵀL̃1 / ((m-1)(m-2)) - 2/(m-2) 1ᵀK̃L̃1] / (m(m-3))`` with zero diagonals.
    """
    m = len(k)
    k = [[0.0 if i == j else float(k[i][j]) for j in range(m)] for i in range(m)]
    l = [[0.0 if i == j else float(l[i][j]) for j in range(m)] for i in range(m)]  # noqa: E741
    trace = sum(k[i][j] * l[j][i] for i in range(m) for j in range(m))
    total_k = sum(k[i][j] for i in range(m) for j in range(m))
    total_l = sum(l[i][j] for i in range(m) for j in range(m))
    product = sum(k[i][q] * l[q][j] for i in range(m) for j in range(m) for q in range(m))
    return (trace + total_k * total_l / ((m - 1) * (m - 2)) - 2 * product / (m - 2)) / (m * (m - 3))


def hsic_u_statistic(k, l):  # noqa: E741
    """Unbiased HSIC as a mean over ordered quadruples of distinct samples (Song et al. 2012, eq. 8).

    ``K_ij (L_ij + L_qr - 2 L_iq)``: independent of eq. 5, because it has no centring and no closed form.
    """
    quadruples = list(permutations(range(len(k)), 4))
    return sum(k[i][j] * (l[i][j] + l[q][r] - 2 * l[i][q]) for i, j, q, r in quadruples) / len(quadruples)


def minibatch_cka(first, second):
    """CKA of two signals ``[s][n][n]``: numerator and denominators averaged over batches, then divided."""
    product = sum(hsic1(k, l) for k, l in zip(first, second, strict=True))  # noqa: E741
    norms = sum(hsic1(k, k) for k in first) * sum(hsic1(k, k) for k in second)
    return product / sqrt(norms)


def biased_cka(k, l):  # noqa: E741
    """CKA with the biased HSIC₀ of Gretton et al. 2005: plain double centring, diagonals kept."""
    k, l = _centred(k), _centred(l)  # noqa: E741
    size = range(len(k))
    inner = sum(k[i][j] * l[i][j] for i in size for j in size)
    norms = [sum(x[i][j] ** 2 for i in size for j in size) for x in (k, l)]
    return inner / sqrt(norms[0] * norms[1])


def _centred(k):
    m = len(k)
    rows = [sum(float(value) for value in row) / m for row in k]
    whole = sum(rows) / m
    return [[float(k[i][j]) - rows[i] - rows[j] + whole for j in range(m)] for i in range(m)]
