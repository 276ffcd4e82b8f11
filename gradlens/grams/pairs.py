"""Inner products of the contributions to one tensor, sample by sample.

Those of two contributions follow from the Grams by polarisation, without holding a contribution, with an error of about
``ε (r + 1/r) / 2`` of the cosine for norms of ratio ``r``. If one branch is much smaller than the other, as behind a
LayerScale, nothing of the cosine is left; then the first contribution is held until the second arrives.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gradlens.grams.product import TINY
from gradlens.grams.rows import wide

CHUNK = 8192
"""Features of several contributions that are stacked at a time."""

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
        self.cross: Tensor | None = None

    def receive(self, gradient: Tensor, outer: int, *, double: bool = False) -> None:
        """Hold the first contribution, multiply the second by it; arguments as for ``sample_products``."""
        if self._first is None:
            self._first = gradient
            return
        self.cross = sample_products(self._first, gradient, outer, self._n, double=double)
        self._first = None


def sample_products(first: Tensor, second: Tensor, outer: int, n: int, *, double: bool = False) -> Tensor:
    """Return ``⟨a_i, b_i⟩`` of two gradients, ``[n]``, real, summed in float64, on their device.

    Args:
        first: reads as ``[outer, n, rest]``.
        second: the same.
        outer: size of the axes that vary slower than the samples.
        n: samples.
        double: multiply in float64; on a CPU, products that would underflow are.
    """
    a, b = wide(first), wide(second)
    product = _sums(a, b, outer, n)
    if a.dtype in (torch.float32, torch.complex64) and (
        double or (a.is_cpu and bool((product.abs() < TINY).any()))
    ):
        product = _sums(a.to(torch.promote_types(a.dtype, torch.float64)), b, outer, n)
    return product.double()


def per_sample_products(gradients: Sequence[Tensor]) -> Tensor:
    """Return the inner products of ``b`` gradients sample by sample, ``[n, b, b]`` in float64.

    Args:
        gradients: each ``[n, d]``; stacked in chunks of features, so that no full copy is made.
    """
    n, features = gradients[0].shape
    total = gradients[0].new_zeros(n, len(gradients), len(gradients), dtype=torch.float64)
    chunks = (
        (tuple(gradients),)
        if features <= CHUNK
        else zip(*(each.split(CHUNK, 1) for each in gradients), strict=True)
    )
    for chunk in chunks:
        stacked = torch.stack(chunk, dim=1)
        total += torch.bmm(stacked, stacked.transpose(1, 2))
    return total


def _sums(a: Tensor, b: Tensor, outer: int, n: int) -> Tensor:
    product = (a * b.conj()).real if a.is_complex() else a * b
    return product.reshape(outer, n, -1).sum((0, 2), dtype=torch.float64)
