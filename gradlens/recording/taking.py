"""Some replicates of a recording. Their arrays are copied when they are read, since most measures read few of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

T = TypeVar("T", bound="Takes")


def _second(array: np.ndarray | None, index: list[int]) -> np.ndarray | None:
    return None if array is None else array[:, index]


def _first(array: np.ndarray | None, index: list[int]) -> np.ndarray | None:
    return None if array is None else array[index]


def _first_of_each(arrays: Mapping[int, np.ndarray], index: list[int]) -> dict[int, np.ndarray]:
    return {number: array[index] for number, array in arrays.items()}


TAKERS: dict[str, Callable[[Any, list[int]], Any]] = {
    "grams": _second,
    "halves": _second,
    "inner": _first_of_each,
    "carried": _first_of_each,
    "projected_errors": _first_of_each,
    "labels": _first,
    "by_loss": lambda by_loss, index: None if by_loss is None else by_loss.take(index),
}
"""How replicates are taken from the fields that have an axis of replicates, by name."""


class Takes:
    """Base of a frozen dataclass with the fields of ``TAKERS`` and ``replicates``."""

    replicates: tuple[tuple[int, int], ...]

    @property
    def origin(self: T) -> tuple[T, list[int]]:
        """The recording from which this one was taken, and the index of its replicates there; itself, and all."""
        origin: tuple[T, list[int]] = vars(self).get("_origin") or (self, list(range(len(self.replicates))))
        return origin

    def take(self: T, indices: Sequence[int]) -> T:
        """Return a recording of some replicates, by index."""
        whole, known = self.origin
        index = [known[number] for number in indices]
        if index == known:
            return self
        part = object.__new__(type(self))
        same = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in TAKERS}  # type: ignore[arg-type]
        same["replicates"] = tuple(whole.replicates[number] for number in index)
        vars(part).update(same, _origin=(whole, index))
        return part

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Take the replicates of a field when it is read for the first time."""
            if name not in TAKERS or "_origin" not in vars(self):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            whole, index = self.origin
            return vars(self).setdefault(name, TAKERS[name](getattr(whole, name), index))
