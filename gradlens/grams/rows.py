"""A gradient as rows of features, one per sample, without a copy where its memory allows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

WIDTH = 512
"""Features of a chunk; the products of a chunk are summed in the precision of the gradient.

Chunks of 4096 take 0.9 to 0.95 of the time, but energies of gradients that are constant over an image, as behind a
mean, are then wrong by 6e-6 in float32.
"""
HALVES = (torch.float16, torch.bfloat16)


class Chunks(NamedTuple):
    """A gradient cut along its features.

    Attributes:
        equal: ``[c, n, w]``, chunks of equal width.
        rest: ``[n, r]``, the features behind them, or None.
        order: axes of the gradient from the slowest to the fastest, if its features are not read as they are written.
    """

    equal: Tensor
    rest: Tensor | None = None
    order: tuple[int, ...] = ()


def memory_order(gradient: Tensor) -> tuple[int, ...]:
    """Return the axes with the samples first and the features by descending stride."""
    strides = gradient.stride()
    return (0, *sorted(range(1, gradient.dim()), key=lambda axis: -strides[axis]))


def order_of(gradient: Tensor, n: int) -> tuple[int, ...]:
    """Return the memory order of a gradient whose first axis holds the samples; empty if it is the logical order."""
    if gradient.is_contiguous() or gradient.shape[0] != n:
        return ()
    order = memory_order(gradient)
    return order if order != tuple(range(gradient.dim())) else ()


def rows(gradient: Tensor, outer: int, n: int, order: tuple[int, ...] | None = None) -> Tensor:
    """Return the gradient with one row per sample, in memory order if that saves a copy.

    A Gram does not depend on the order of the features, and flattening a ``channels_last`` tensor
    in logical order copies it.

    Args:
        gradient: reads as ``[outer, n, rest]``.
        outer: size of the axes that vary slower than the samples; 1 if samples come first.
        n: samples.
        order: order of the axes; by default that in memory.

    Returns:
        ``[n, d]`` for ``outer == 1``, else ``[outer, n, d]``.
    """
    if outer > 1:
        return gradient.reshape(outer, n, -1)
    order = order_of(gradient, n) if order is None else order
    return (gradient.permute(order) if order else gradient).reshape(n, -1)


def chunks(
    gradient: Tensor,
    outer: int,
    n: int,
    order: tuple[int, ...] | None = None,
    count: int = 0,
) -> Chunks:
    """Cut a gradient along its features; arguments as for ``rows``, and the number of chunks, 0 for any."""
    if outer > 1:
        return Chunks(rows(gradient, outer, n))
    order = order_of(gradient, n) if order is None else order
    flat = rows(gradient, outer, n, order)
    features = flat.shape[1]
    count = count or count_of(features, n)
    width = features // count
    if count * width == features:
        return Chunks(flat.view(n, count, width).transpose(0, 1), None, order)
    cut = count * width
    return Chunks(flat[:, :cut].view(n, count, width).transpose(0, 1), flat[:, cut:], order)


@lru_cache(1 << 12)
def count_of(features: int, n: int) -> int:
    """Return the number of chunks of a gradient: without a rest if the features allow it.

    >>> count_of(500, 16), count_of(64 * 56 * 56, 16)
    (1, 392)
    """
    width = max(WIDTH, 16 * n)  # so that the Grams of the chunks take at most a 16th of the gradient
    return divided(features, max(1, -(-features // width)))


def divided(features: int, least: int) -> int:
    """Return the smallest divisor of a number of features from ``least`` on, or ``least`` if none is near.

    >>> divided(1568, 64), divided(6400, 64), divided(2003, 64)
    (98, 64, 64)
    """
    near = range(least, min(2 * least, features) + 1)
    return next((count for count in near if not features % count), least)


def real(gradient: Tensor) -> Tensor:
    """Return a complex gradient as real numbers, ``[..., 2]``: then ``G Gᵀ`` is the real part of ``G Gᴴ``."""
    return torch.view_as_real(gradient.resolve_conj()) if gradient.is_complex() else gradient


def wide(gradient: Tensor) -> Tensor:
    """Return half precision as float32, everything else unchanged."""
    return gradient.float() if gradient.dtype in HALVES else gradient


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
    blocks = gradient.reshape(len(positions), -1)
    last = outer * n  # rows without a position go to one more, which is cut off
    places = torch.tensor([position if position >= 0 else last for position in positions])
    ordered = blocks.new_zeros(last + 1, blocks.shape[1])
    return ordered.index_copy_(0, places.to(blocks.device, non_blocking=True), blocks)[:last]
