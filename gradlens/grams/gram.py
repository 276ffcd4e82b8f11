"""The per-sample Gram of one gradient."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from gradlens.grams.product import product, square
from gradlens.grams.rows import chunks, in_order, real, rows


def gram(gradient: Tensor, outer: int, n: int, *, double: bool = False) -> Tensor:
    """Return ``K = G Gᵀ`` in float64, ``[n, n]``, on the device of the gradient (see ``product``).

    Args:
        gradient: reads as ``[outer, n, rest]``.
        outer: size of the axes that vary slower than the samples.
        n: samples.
        double: multiply in float64.
    """
    panels = product(chunks(gradient, outer, n), double=double).panels
    whole = panels[0].new_empty(n, n)
    return square(panels, whole)  # symmetric, which a product need not be to the last digit


def sample_energies(gradient: Tensor, positions: Sequence[int], outer: int, n: int) -> Tensor:
    """Return the squared norm of the gradient of each sample, ``[n]`` in float64: the diagonal of its Gram.

    Args:
        gradient: of a tensor.
        positions: as for ``in_order``.
        outer: positions of each sample that vary slower than the samples.
        n: samples.
    """
    flat = rows(in_order(real(gradient), positions, outer, n), outer, n).double().square().sum(-1)
    return flat.sum(0) if flat.dim() > 1 else flat
