"""The index with which an operation moves rows, from what its autograd node saves."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.graph import Node as AutogradNode

MOST = 1 << 16
"""Longest index that is kept."""
Detail = dict[str, int | list[int]]


def index_of(node: AutogradNode, operation: str) -> Detail:
    """Return ``dim`` and ``index`` of an operation that moves whole rows along one axis.

    Returns:
        Without ``index`` if the rows move in another way; ``dim`` is 0 then, unless the node saves it.
    """
    if operation in {"Index", "IndexPut"}:
        return _of_indices(getattr(node, "_saved_indices", ()) or ())
    if operation in {"Roll", "Flip"}:
        return _of_shift(node, operation)
    index = getattr(node, "_saved_index", None)
    return {"index": _listed(index)} if isinstance(index, Tensor) and _is_index(index) else {}


def _of_indices(indices: tuple[Tensor | None, ...]) -> Detail:
    """Return the only index among those of ``x[:, index]``, or that of the rows among those of ``x[rows, columns]``."""
    present = [(dim, index) for dim, index in enumerate(indices) if index is not None]
    if not present:
        return {"dim": 0}
    dim, index = present[0]
    if len(present) == 1 and dim == 0 and index.dim() == 2 and index.dtype is torch.bool:
        rows, columns = index.nonzero().T.tolist()  # x[mask] selects positions of samples
        return {"dim": 0, "index": rows, "column": columns} if len(rows) <= MOST else {"dim": 0}
    if len(present) > 1 and not (dim == 0 and all(other.shape == index.shape for _, other in present)):
        return {"dim": dim}
    return {"dim": dim, "index": _listed(index)} if _is_index(index) else {"dim": dim}


def _of_shift(node: AutogradNode, operation: str) -> Detail:
    """Return the index of a roll or flip along one axis."""
    shape = node._input_metadata[0].shape
    dims = [int(dim) - (1 << 64) * (int(dim) >= 1 << 63) for dim in getattr(node, "_saved_dims", ())]
    dims = [dim % len(shape) for dim in dims]
    if len(dims) != 1:
        return {"dim": min(dims, default=0)}  # without the samples, the axes do not matter
    dim = dims[0]
    size = int(shape[dim])
    if operation == "Flip":
        return {"dim": dim, "index": list(range(size))[::-1]}
    shift = int(getattr(node, "_saved_shifts")[0])  # noqa: B009
    shift -= (1 << 64) if shift >= 1 << 63 else 0
    return {"dim": dim, "index": [(row - shift) % size for row in range(size)]}


def _is_index(index: Tensor) -> bool:
    return (
        index.dim() == 1 and index.numel() <= MOST and index.dtype in (torch.int64, torch.int32, torch.bool)
    )


def _listed(index: Tensor) -> list[int]:
    rows = index.nonzero().squeeze(1) if index.dtype is torch.bool else index
    return [int(row) for row in rows.tolist()]
