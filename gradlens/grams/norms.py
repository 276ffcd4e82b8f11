"""Squared norms of the gradients of one backward pass, and a random functional of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradlens.grams.product import TINY, full_precision, projected
from gradlens.grams.projection import Projection, totals
from gradlens.grams.rows import chunks, in_order, real, wide
from gradlens.grams.transfer import transferred
from gradlens.graph.plan import Plan
from gradlens.graph.probes import Probe

BLOCK = 1024
"""Features whose squares are summed in the precision of the gradient; the sums of blocks are added in float64."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class PassNorms:
    """Norms of the gradients of one backward pass, by probe; NaN if no axis holds the samples.

    Attributes:
        samples: squared norm of the gradient of each sample, ``[p, n]``.
        sums: squared norm of the sum over the samples, ``[p]``.
        functionals: ``Σ_id s_i s_d g_id`` with random signs, ``[p]``; 0 for a probe that received no gradient.
        eps: relative precision of the gradients.
    """

    samples: Array
    sums: Array
    functionals: Array
    eps: float


class Norms:
    """Receives the gradients of one backward pass; keeps only their norms.

    Args:
        plan: what is watched.
        n: samples in the batch.
        projection: random signs of the features, shared by all passes.
        scale: factor by which the gradients are multiplied.
    """

    def __init__(self, plan: Plan, n: int, projection: Projection, scale: float) -> None:
        self._plan, self._n, self._projection, self._scale = plan, n, projection, scale
        signs = torch.randint(0, 2, (n,), generator=torch.Generator().manual_seed(n)).mul_(2).sub_(1)
        self._mixing = torch.stack([torch.ones(n), signs.float()])
        self._samples: dict[int, Tensor] = {}
        self._sums: dict[int, Tensor] = {}
        self._functionals: dict[int, Tensor] = {}
        self._eps = torch.finfo(torch.float64).eps

    def update(self, number: int, gradient: Tensor) -> None:
        """Reduce one gradient of an edge or a tensor."""
        probe = self._plan.probes[number]
        if not gradient.numel():
            return
        self._eps = max(self._eps, torch.finfo(gradient.dtype).eps)
        blocks = self._blocks(probe, wide(real(gradient)))
        mixing = self._mixing[:, : blocks.shape[1]].to(blocks.device, blocks.dtype, non_blocking=True)
        with full_precision():
            mixed = torch.matmul(mixing, blocks)
        whole = mixed[:, 1].reshape(1, -1)
        cut = chunks(whole, 1, 1)
        signs = self._projection.functional(cut, whole.shape)
        self._functionals[number] = totals(projected(cut, signs)).squeeze(0)
        if probe.sampled:
            self._samples[number] = squared_norms(blocks).sum(0)
            self._sums[number] = squared_norms(mixed[:, :1]).sum()

    def _blocks(self, probe: Probe, gradient: Tensor) -> Tensor:
        """Return a gradient as ``[outer, n, rest]``; without an axis of samples as one sample."""
        if probe.outer is None:
            return gradient.reshape(1, 1, -1)
        return in_order(gradient, probe.rows, probe.outer, self._n).reshape(probe.outer, self._n, -1)

    def value(self, grams: Array | None = None) -> PassNorms:
        """Return the norms, those of weights from their Grams ``[p, n, n]``, which are scaled already."""
        square = self._scale**2
        samples, sums, functionals = self._arrays()
        for number, series in self._plan.series.items():
            steps = list(series.steps)
            samples[number], sums[number] = samples[steps].sum(0), sums[steps].sum()
        samples, sums = samples * square, sums * square
        for number, gram in () if grams is None else ((key, grams[key]) for key in self._plan.weight_probes):
            samples[number], sums[number] = np.diagonal(gram), gram.sum()
        return PassNorms(samples, sums, functionals * self._scale, self._eps)

    def _arrays(self) -> tuple[Array, Array, Array]:
        """Return what was measured by probe: 0 where no gradient arrived, NaN where the samples are not known."""
        unknown = [number for number, probe in enumerate(self._plan.probes) if not probe.sampled]
        count, kinds = len(self._plan.probes), (self._samples, self._sums, self._functionals)
        values = iter(transferred([value for kind in kinds for value in kind.values()]))
        arrays = np.zeros((count, self._n)), np.zeros(count), np.zeros(count)
        arrays[0][unknown], arrays[1][unknown] = np.nan, np.nan
        for kind, array in zip(kinds, arrays, strict=True):
            for number in kind:
                array[number] = next(values)
        return arrays


def squared_norms(blocks: Tensor) -> Tensor:
    """Return the squared norm of each row, ``[...]`` in float64, of ``[..., d]``.

    >>> squared_norms(torch.tensor([[3.0, 4.0]])).tolist()
    [25.0]
    """
    if not blocks.is_cpu:  # nothing waits there to see whether the squares are tiny
        exact: Tensor = torch.linalg.vector_norm(blocks, dim=-1, dtype=torch.float64)
        return exact.square()
    flat = blocks.reshape(-1, blocks.shape[-1])
    cut = flat.shape[1] // BLOCK * BLOCK
    parts = [flat[:, :cut].unflatten(1, (-1, BLOCK))] if cut else []
    parts += [flat[:, None, cut:]] if cut < flat.shape[1] else []
    squares = sum(torch.linalg.vector_norm(part, dim=-1).double().square().sum(1) for part in parts)
    result = torch.as_tensor(squares).reshape(blocks.shape[:-1])
    if blocks.dtype == torch.float64 or not bool((result < TINY).any()):
        return result
    exact = torch.linalg.vector_norm(blocks, dim=-1, dtype=torch.float64)
    return exact.square()
