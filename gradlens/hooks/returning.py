"""The tensors that a model returns, in containers of any kind."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from torch import Tensor, nn


def returned_tensors(output: object) -> list[Tensor]:
    """Return the tensors in an output, each once: in sequences, mappings, dataclasses and attributes, nested too."""
    tensors: dict[int, Tensor] = {}
    seen: set[int] = set()
    ready = [output]
    while ready:
        value = ready.pop(0)
        if isinstance(value, Tensor):
            tensors.setdefault(id(value), value)
        elif id(value) not in seen:
            seen.add(id(value))
            ready = [*_inside(value), *ready]
    return list(tensors.values())


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, (str, bytes, type, nn.Module)):
        return ()
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (list, tuple, set, deque)):
        return value
    slots = (getattr(value, name, None) for name in getattr(type(value), "__slots__", ()))
    return (*getattr(value, "__dict__", {}).values(), *slots)
