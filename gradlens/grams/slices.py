"""Gradients that are neighbouring slices of one tensor, as the backward function of ``cat`` returns them."""

from __future__ import annotations

from torch import Tensor

from gradlens.grams.product import CACHE


def follows(first: Tensor, second: Tensor) -> bool:
    """Return whether the features of a gradient ``[n, ...]`` lie behind those of another one, sample by sample.

    >>> import torch
    >>> whole = torch.zeros(4, 6, 5)
    >>> follows(whole[:, :2], whole[:, 2:4]), follows(whole[:, :2], whole[:, 4:])
    (True, False)
    """
    return (
        first.numel() > 0
        and first.dim() > 1
        and first.shape == second.shape
        and first.stride() == second.stride()
        and first.dtype == second.dtype
        and second.data_ptr() - first.data_ptr() == first[0].nbytes
        and first[0].is_contiguous()
        and first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()
    )


def together(first: Tensor) -> int:
    """Return how many gradients of this size are read together: on a CPU as many as stay in cache, else any number."""
    return CACHE // max(first.nbytes, 1) if first.is_cpu else 1 << 30


def joined(first: Tensor, slices: int, count: int) -> Tensor:
    """Return neighbouring slices as chunks ``[slices · count, n, w]``, without a copy.

    Args:
        first: the first slice ``[n, ...]``.
        slices: their number.
        count: chunks of each slice, which divides its features.
    """
    n = first.shape[0]
    width = first[0].numel() // count
    return first.as_strided((slices * count, n, width), (width, first.stride(0), 1))
