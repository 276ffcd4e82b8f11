"""Tensors in nested batches and outputs: tuples, lists, dicts and dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeGuard

from torch import Tensor


def tensors_of(value: object) -> list[Tensor]:
    """Return the tensors in nested tuples, lists, dicts and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, item.name) for item in fields(value)]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_of(item)]
    return []


def batch_size(batch: object) -> int:
    """Return the number of samples in a batch: the length of a list of samples, else of axis 0 of the first tensor."""
    if _lists_samples(batch):
        return len(batch)
    return next((tensor.shape[0] for tensor in tensors_of(batch) if tensor.dim()), 0)


def first_samples(batch: object, count: int) -> object | None:
    """Return the first ``count`` samples of a batch, or None if it cannot be cut.

    A list of samples is sliced.
    Tensors in nested tuples, lists and dicts are cut along axis 0; all must have the same length.
    """
    if _lists_samples(batch):
        return batch[:count] if len(batch) > count else None
    lengths: set[int] = set()
    cut = _cut(batch, count, lengths)
    return cut if len(lengths) == 1 and lengths.pop() > count else None


def _cut(value: object, count: int, lengths: set[int]) -> object:
    if isinstance(value, Tensor) and value.dim():
        lengths.add(value.shape[0])
        return value[:count]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{item.name: _cut(getattr(value, item.name), count, lengths) for item in fields(value)}
        )
    if isinstance(value, dict):
        return {key: _cut(item, count, lengths) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        items: list[Any] = [_cut(item, count, lengths) for item in value]
        return type(value)(*items)
    if isinstance(value, (list, tuple)):
        return type(value)(_cut(item, count, lengths) for item in value)
    return value


def _lists_samples(batch: object) -> TypeGuard[Sequence[Any]]:
    """Return whether a batch is a list of samples, each in its own container, and not (inputs, targets)."""
    if not isinstance(batch, (list, tuple)) or len(batch) <= 2:
        return False
    return all(isinstance(item, (list, tuple, dict)) or is_dataclass(item) for item in batch)
