"""Snapshots of the plain attributes of modules: what they hold, and how to put it back."""

from __future__ import annotations

import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gradlens.hooks.nesting import plain

DEEPEST = 3
"""Largest number of objects within objects whose attributes are restored."""
FUNCTIONS = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, partial)
HOLDERS = {"argparse", "collections", "types"}
"""Modules of the standard library whose objects hold values of the user."""
Restore = Callable[[], Any]
"""Restores a value in place and returns it."""


class Snapshots:
    """Takes snapshots of values; an object that occurs twice is restored once.

    Args:
        restored: objects that are restored elsewhere: the modules of the model, its parameters and buffers.
    """

    def __init__(self, restored: Iterable[object]) -> None:
        self._seen = {id(value) for value in restored}
        self._depth = 0

    def of(self, value: Any) -> Restore:
        """Return a function that restores the contents of a value as they are now, and returns the value."""
        take = _taker(value)
        if take is None or id(value) in self._seen:
            return lambda: value
        self._seen.add(id(value))
        restore = take(self, value)

        def restored() -> Any:
            restore()
            return value

        return restored

    def tensor(self, tensor: Tensor) -> Restore:
        """Return a function that restores the values of a tensor."""
        saved, version = tensor.detach().clone(), version_of(tensor)

        def restore() -> None:
            if version_of(tensor) != version or not torch.equal(tensor, saved):  # ``.data`` counts no changes
                tensor.data = saved.clone() if tensor.shape != saved.shape else tensor.data
                tensor.detach().copy_(saved)

        return restore

    def items(self, value: list[Any] | deque[Any]) -> Restore:
        """Return a function that restores a sequence."""
        items = [self.of(item) for item in value]
        return lambda: _refilled(value, [item() for item in items], value.extend)

    def entries(self, value: dict[Any, Any]) -> Restore:
        """Return a function that restores a dict."""
        entries = {key: self.of(item) for key, item in value.items()}
        return lambda: _refilled(value, {key: item() for key, item in entries.items()}, value.update)

    def members(self, value: set[Any]) -> Restore:
        """Return a function that restores a set."""
        members = set(value)
        return lambda: _refilled(value, members, value.update)

    def parts(self, value: tuple[Any, ...]) -> Restore:
        """Return a function that restores the parts of a tuple."""
        parts = [self.of(item) for item in value]
        return lambda: [part() for part in parts]

    def array(self, value: np.ndarray[Any, Any]) -> Restore:
        """Return a function that restores an array."""
        saved = value.copy()
        return lambda: np.copyto(value, saved) if value.flags.writeable else None

    def generator(self, value: Any) -> Restore:
        """Return a function that restores a random generator."""
        if isinstance(value, np.random.Generator):
            state = value.bit_generator.state
            return lambda: setattr(value.bit_generator, "state", state)
        get, put = (
            ("getstate", "setstate") if isinstance(value, random.Random) else ("get_state", "set_state")
        )
        saved = getattr(value, get)()
        return lambda: getattr(value, put)(saved)

    def attributes(self, value: Any) -> Restore:
        """Return a function that restores the attributes of an object."""
        deeper = not isinstance(value, nn.Module)
        if self._depth == DEEPEST and deeper:
            return lambda: None
        self._depth += deeper
        try:
            return self.of(vars(value))
        finally:
            self._depth -= deeper


def version_of(tensor: Tensor) -> int:
    """Return the number of changes of a tensor; a tensor made in inference mode does not count them."""
    return 0 if tensor.is_inference() else tensor._version


_TAKERS: list[tuple[type | tuple[type, ...], Callable[[Snapshots, Any], Restore]]] = [
    ((list, deque), Snapshots.items),
    (dict, Snapshots.entries),
    (set, Snapshots.members),
    (np.ndarray, Snapshots.array),
    ((torch.Generator, np.random.RandomState, np.random.Generator, random.Random), Snapshots.generator),
]


def _taker(value: Any) -> Callable[[Snapshots, Any], Restore] | None:
    """Return what takes a snapshot of a value; None for a value that does not change."""
    if isinstance(value, Tensor):
        return Snapshots.tensor if plain(value) and not nn.parameter.is_lazy(value) else None
    if type(value) is tuple:
        return Snapshots.parts
    for kind, take in _TAKERS:
        if isinstance(value, kind):
            return take
    library = type(value).__module__.partition(".")[0]
    foreign = library == "torch" and not isinstance(value, nn.Module)
    unknown = library in sys.stdlib_module_names and library not in HOLDERS
    if (
        foreign
        or unknown
        or not hasattr(value, "__dict__")
        or isinstance(value, (*FUNCTIONS, torch.jit.ScriptModule))
    ):
        return None
    return Snapshots.attributes


def _refilled(value: Any, contents: Any, fill: Callable[[Any], object]) -> None:
    value.clear()
    fill(contents)
