"""Tensors in nested batches and outputs: tuples, lists, dicts and dataclasses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn


def tensors_of(value: object) -> list[Tensor]:
    """Return the tensors in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in items_of(value) or () for tensor in tensors_of(item)]


def copied(batch: object) -> object:
    """Return a batch whose tensors and containers are copies, so that a step that changes them leaves the batch alone.

    What cannot be copied is shared.
    """
    try:
        return mapped(batch, cloned)
    except (TypeError, ValueError, AttributeError, RuntimeError):
        return batch


def items_of(value: object) -> list[object] | None:
    """Return the parts of a container; None for anything else."""
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, item.name) for item in fields(value)]
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else None


def mapped(value: object, function: Callable[[Tensor], Tensor]) -> object:
    """Return a container of the same kind with ``function`` applied to each tensor."""
    if isinstance(value, Tensor):
        return function(value)
    items = items_of(value)
    return value if items is None else rebuilt(value, [mapped(item, function) for item in items])


def rebuilt(value: object, items: list[object]) -> object:
    """Return a container of the same kind with other parts, in the order of ``items_of``."""
    if is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in fields(value)]
        settable = {item.name for item in fields(value) if item.init}
        changed = {name: item for name, item in zip(names, items, strict=True) if name in settable}
        return replace(value, **changed)
    if isinstance(value, MutableMapping):
        twin: Any = copy.copy(value)
        for key, item in zip(value, items, strict=True):
            twin[key] = item
        return twin
    if isinstance(value, Mapping):
        return type(value)(dict(zip(value, items, strict=True)))  # type: ignore[call-arg]
    rebuild: Any = type(value)
    return rebuild(*items) if hasattr(value, "_fields") else rebuild(items)


def plain(tensor: Tensor) -> bool:
    """Return whether a tensor has ordinary axes."""
    return tensor.layout is torch.strided and not tensor.is_nested


def cloned(tensor: Tensor, like: Tensor | None = None) -> Tensor:
    """Return a copy that is a leaf, as the batch's tensors are; parameters are shared."""
    if isinstance(tensor, nn.Parameter):
        return tensor
    requires = (tensor if like is None else like).requires_grad
    return tensor.detach().clone().requires_grad_(requires)
