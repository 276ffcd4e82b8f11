"""Inner products of the contributions to one tensor, sample by sample.

Those of two contributions follow from the Grams by polarisation, without holding a contribution, with an error of about
``ε (r + 1/r) / 2`` of the cosine for norms of ratio ``r``. If one branch is much smaller than the other, as behind a
LayerScale, nothing of the cosine is left; then the first contribution is held until the second arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradlens.grams.gram import TINY
from gradlens.grams.projection import CHUNK, wide

UNEVEN = 0.01
"""Ratio of the energies of two branches below which their inner products are computed from the contributions."""


class PairProduct:
    """Multiplies the two contributions of a fork in one batch.

    Args:
        n: samples.
    """

    def __init__(self, n: int) -> None:
        self._n = n
        self._first: Tensor | None = None
        self._cross = np.zeros(n)

    def receive(self, gradient: Tensor, outer: int) -> None:
        """Hold the first contribution, multiply the second by it.

        Args:
            gradient: reads as ``[outer, n, rest]``.
            outer: size of the axes that vary slower than the samples.
        """
        if self._first is None:
            self._first = gradient
            return
        self._cross = sample_products(self._first, gradient, outer, self._n)
        self._first = None

    def inner(self, norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the inner products ``[2, 2, n]``; those of a branch with itself are its squared norms ``[2, n]``."""
        return np.array([[norms[0], self._cross], [self._cross, norms[1]]])


def sample_products(first: Tensor, second: Tensor, outer: int, n: int) -> NDArray[np.float64]:
    """Return ``⟨a_i, b_i⟩`` of two gradients, ``[n]``, real, summed in float64.

    Products that would underflow are computed in float64, too.
    """
    a, b = wide(first), wide(second)
    product = _sums(a, b, outer, n)
    if bool((product.abs() < TINY).any()) and a.dtype in (torch.float32, torch.complex64):
        product = _sums(a.to(torch.promote_types(a.dtype, torch.float64)), b, outer, n)
    return np.asarray(product.cpu().numpy(), dtype=np.float64)


def per_sample_products(gradients: Sequence[Tensor]) -> Tensor:
    """Return the inner products of ``b`` gradients sample by sample, ``[n, b, b]`` in float64.

    Args:
        gradients: each ``[n, d]``; stacked in chunks of features, so that no full copy is made.
    """
    total = torch.zeros(
        gradients[0].shape[0], len(gradients), len(gradients), dtype=torch.float64, device=gradients[0].device
    )
    for chunk in zip(*(torch.split(gradient, CHUNK, dim=1) for gradient in gradients), strict=True):
        stacked = torch.stack(chunk, dim=1)
        total += torch.bmm(stacked, stacked.transpose(1, 2))
    return total


def inner_products(held: Mapping[int, Tensor], energies: Sequence[Tensor]) -> NDArray[np.float64]:
    """Return the per-sample inner products of the branches of a fork ``[b, b, n]``.

    Args:
        held: by branch, the gradients ``[n, d]``, or their sketches, that arrived.
        energies: by branch, the exact products with itself, ``[n]``.
    """
    branches, arrived = len(energies), sorted(held)
    inner = np.zeros((branches, branches, len(energies[0])))
    products = per_sample_products([held[member] for member in arrived])
    inner[np.ix_(arrived, arrived)] = products.permute(1, 2, 0).cpu().numpy()
    for branch, energy in enumerate(energies):
        inner[branch, branch] = energy
    return inner


def _sums(a: Tensor, b: Tensor, outer: int, n: int) -> Tensor:
    product = (a * b.conj()).real if a.is_complex() else a * b
    return product.reshape(outer, n, -1).sum((0, 2), dtype=torch.float64)
