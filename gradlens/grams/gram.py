"""The per-sample Gram of one gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

CHUNK = 1024
MANY = 16
"""From ``MANY`` chunks on, the product is computed in chunks: 0.75 of the time of one product (CPU, n = 16)."""
TINY = 1e-30
"""Squared norms below this lose digits in float32; their Gram is computed again in float64."""


def memory_order(gradient: Tensor) -> tuple[int, ...]:
    """Return the axes with the samples first and the features by descending stride."""
    strides = gradient.stride()
    return (0, *sorted(range(1, gradient.dim()), key=lambda axis: -strides[axis]))


def rows(gradient: Tensor, outer: int, n: int) -> Tensor:
    """Return the gradient with one row per sample, in memory order if that saves a copy.

    A Gram does not depend on the order of the features, and flattening a ``channels_last`` tensor
    in logical order copies it.

    Args:
        gradient: reads as ``[outer, n, rest]``.
        outer: size of the axes that vary slower than the samples; 1 if samples come first.
        n: samples.

    Returns:
        ``[n, d]`` for ``outer == 1``, else ``[outer, n, d]``.
    """
    if outer > 1:
        return gradient.reshape(outer, n, -1)
    if gradient.shape[0] == n and not gradient.is_contiguous():
        gradient = gradient.permute(memory_order(gradient))
    return gradient.reshape(n, -1)


def real(gradient: Tensor) -> Tensor:
    """Return a complex gradient as real numbers, ``[..., 2]``: then ``G Gᵀ`` is the real part of ``G Gᴴ``."""
    return torch.view_as_real(gradient.resolve_conj()) if gradient.is_complex() else gradient


def in_order(gradient: Tensor, positions: Sequence[int], outer: int, n: int) -> Tensor:
    """Return a gradient with its rows in the order of the samples, as ``[outer, n, rest]``; zero where no row is.

    Args:
        gradient: ``[rows, ...]``, or ``[rows · k, ...]``.
        positions: the position of each row (see ``graph.layout.Layout``), -1 for a row without one; empty if the rows
            are the samples in order.
        outer: positions of each sample.
        n: samples.
    """
    if not positions:
        return gradient
    kept = [row for row, position in enumerate(positions) if position >= 0]
    blocks = gradient.reshape(len(positions), -1)
    ordered = blocks.new_zeros(outer * n, blocks.shape[1])
    if kept:
        ordered[[positions[row] for row in kept]] = blocks[kept]
    return ordered


def gram(gradient: Tensor, outer: int, n: int) -> Tensor:
    """Return ``K = G Gᵀ`` in float64, ``[n, n]``, on the CPU.

    Half precision is widened first. The product is computed in the gradient's precision (at least
    float32), and again in float64 if it underflows or overflows.

    Args:
        gradient: reads as ``[outer, n, rest]``.
        outer: size of the axes that vary slower than the samples.
        n: samples.
    """
    flat = rows(gradient, outer, n)
    if flat.dtype in (torch.float16, torch.bfloat16):
        flat = flat.float()
    product = _product(flat).double().cpu()
    if flat.dtype != torch.float64 and _lossy(product, flat):
        product = _product(flat.double()).cpu()
    return product


def sample_energies(gradient: Tensor, positions: Sequence[int], outer: int, n: int) -> Tensor:
    """Return the squared norm of the gradient of each sample, ``[n]`` in float64: the diagonal of its Gram.

    Args:
        gradient: of a tensor.
        positions: as for ``in_order``.
        outer: positions of each sample that vary slower than the samples.
        n: samples.
    """
    flat = rows(in_order(real(gradient), positions, outer, n), outer, n).double().square().sum(-1)
    return (flat.sum(0) if flat.dim() > 1 else flat).cpu()


def _product(flat: Tensor) -> Tensor:
    if flat.dim() == 3:
        return torch.bmm(flat, flat.transpose(1, 2)).sum(0)
    n, d = flat.shape
    if d < MANY * CHUNK:
        return flat @ flat.T
    cut = d - d % CHUNK
    chunks = flat[:, :cut].view(n, -1, CHUNK).transpose(0, 1)
    product = torch.bmm(chunks, chunks.transpose(1, 2)).sum(0)
    return product + flat[:, cut:] @ flat[:, cut:].T if cut < d else product


def _lossy(product: Tensor, flat: Tensor) -> bool:
    energies = product.diagonal().tolist()
    if all(TINY <= energy < math.inf for energy in energies):
        return False
    small = [sample for sample, energy in enumerate(energies) if energy < TINY]
    return not all(map(math.isfinite, energies)) or bool(flat[..., small, :].any())
