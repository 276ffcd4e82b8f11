"""Where a batch has to be for a network to read it."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.utils import _pytree

Value = TypeVar("Value")


def beside(model: nn.Module, value: Value) -> Value:
    """Return tensors in nested tuples, lists and dicts on the device of a model's first parameter, if it has one."""
    parameter = next(model.parameters(), None)
    if parameter is None:
        return value
    device = parameter.device
    moved: Value = _pytree.tree_map(lambda item: item.to(device) if hasattr(item, "to") else item, value)
    return moved
