"""Energy shares, coherence and cosines of the contributions at a fork."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradlens.metrics.hsic import Array

PRECISION = 2.0**-21
"""Relative error of a squared norm that is summed in float32."""


def energy_shares(energies: Array) -> Array:
    """Share of each branch, ``tr K_a / Σ_b tr K_b``, in [0, 1]; NaN if no branch has energy.

    Args:
        energies: ``[b]``, the traces of the branches' Grams.
    """
    total = energies.sum()
    return energies / total if total > 0 else np.full_like(energies, np.nan)


def coherence(sum_energy: float, energies: Array) -> float:
    """``‖Σ_b g_b‖² / Σ_b ‖g_b‖²``: ``b`` if all are equal, 1 if they are orthogonal, 0 if they cancel.

    Args:
        sum_energy: trace of the Gram of the accumulated gradient.
        energies: ``[b]``, the traces of the branches' Grams.

    >>> coherence(4.0, np.array([1.0, 1.0]))
    2.0
    """
    total = float(energies.sum())
    return sum_energy / total if total > 0 else float("nan")


def pair_inner_products(norms_sum: Array, norms: Array) -> Array:
    """Per-sample inner products of two branches by polarisation, ``[..., 2, 2, n]``.

    ``2⟨a, b⟩ = ‖a + b‖² - ‖a‖² - ‖b‖²``: so no contribution has to be kept until the other one arrives. Rounding of
    the squared norms remains in the difference (see ``polarisation_error``).

    Args:
        norms_sum: ``[..., n]``, squared norms of the accumulated gradient.
        norms: ``[..., 2, n]``, squared norms of the two contributions.
    """
    cross = (norms_sum - norms.sum(axis=-2)) / 2
    first = np.stack([norms[..., 0, :], cross], axis=-2)
    second = np.stack([cross, norms[..., 1, :]], axis=-2)
    return np.stack([first, second], axis=-3)


def polarisation_error(inner: Array, precision: float = PRECISION) -> float:
    """Mean over samples of the largest error of a cosine by polarisation: about ``precision · (r + 1/r) / 2``.

    Args:
        inner: ``[..., 2, 2, n]``, per-sample inner products of two branches whose norms have the ratio ``r``.
        precision: relative error of a squared norm.

    Returns:
        NaN if no sample has a gradient on both branches.

    >>> round(polarisation_error(np.array([[[1.0], [0.0]], [[0.0], [1e-12]]]), 1e-7), 2)
    0.1
    """
    first, second, cross = inner[..., 0, 0, :], inner[..., 1, 1, :], inner[..., 0, 1, :]
    alive = first * second > 0
    if not alive.any():
        return float("nan")
    squares = (first + second + np.abs(cross))[alive]
    return float((precision * squares / np.sqrt((first * second)[alive])).mean())


def mean_cosine(inner: Array, first: int, second: int) -> float:
    """Mean over samples of the cosine between two contributions of one fork, in [-1, 1].

    Args:
        inner: ``[..., b, b, n]``, per-sample inner products.
        first: index of a branch.
        second: index of another branch.

    Returns:
        NaN if no sample has a gradient on both branches.
    """
    branches = np.array([first, second])
    values, counts = cosine_sums(inner[..., branches[:, None], branches, :])
    count = int(counts[..., 0, 1].sum())
    return float(values[..., 0, 1].sum() / count) if count else float("nan")


def cosine_sums(inner: Array) -> tuple[Array, NDArray[np.intp]]:
    """Sum over samples of the cosine between each pair of contributions of one fork, and the number of samples.

    Args:
        inner: ``[..., b, b, n]``, per-sample inner products.

    Returns:
        Sums and numbers, ``[..., b, b]``, over the samples with a gradient on both branches.
    """
    squares = np.einsum("...bbn->...bn", inner)
    norms = squares[..., :, None, :] * squares[..., None, :, :]
    alive = norms > 0
    cosines = np.divide(
        inner, np.sqrt(norms, where=alive, out=np.ones_like(norms)), out=np.zeros_like(norms), where=alive
    )
    return np.clip(cosines, -1.0, 1.0).sum(axis=-1), alive.sum(axis=-1)
