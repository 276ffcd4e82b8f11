"""What a recording keeps of several losses: Grams of each, and how their gradients agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlens.errors import GradlensError
from gradlens.graph.plan import Group
from gradlens.recording.file import by_group
from gradlens.recording.merging import concatenated
from gradlens.recording.products import joined

Array = NDArray[np.float64]
SHARED = ("values", "products", "mean_products", "errors")
"""Arrays of all losses together; replicates are the last axis, of ``products`` the last but one."""


@dataclass(frozen=True)
class LossGrams:
    """The statistics of one loss; the fields are those of ``Recording``."""

    grams: Array
    inner: Mapping[int, Array]
    projected_errors: Mapping[int, Array]
    carried: Mapping[int, Array] = field(default_factory=dict)
    halves: Array | None = None

    def take(self, index: Sequence[int]) -> LossGrams:
        """Return the statistics of some replicates."""
        rows = list(index)
        tables = {
            name: _taken(getattr(self, name), rows) for name in ("inner", "projected_errors", "carried")
        }
        halves = None if self.halves is None else self.halves[:, rows]
        return LossGrams(self.grams[:, rows], **tables, halves=halves)


@dataclass(frozen=True)
class ByLoss:
    """The statistics of several losses.

    Replicates are taken from the arrays when they are read, because most tables of a recording do not need them.

    Attributes:
        parts: statistics of each loss in all replicates, by name.
        values: of the losses, ``[k, s]``.
        products: by pair of losses, inner products of the gradients of each sample, ``[c, p, s, n]``; NaN if rounding
            hides them.
        mean_products: the same of the gradients summed over the samples, ``[c, p, s]``.
        errors: relative error of the sum of the losses' gradients against the gradient of their sum, ``[p, s]``.
        index: replicates of the arrays that count; None for all.
    """

    parts: Mapping[str, LossGrams]
    values: Array
    products: Array
    mean_products: Array
    errors: Array
    index: tuple[int, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the losses."""
        return tuple(self.parts)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The pairs of losses, in the order of ``products``."""
        return list(combinations(self.parts, 2))

    def take(self, index: Sequence[int]) -> ByLoss:
        """Return the statistics of some replicates."""
        known = range(self.values.shape[1]) if self.index is None else self.index
        return replace(self, index=tuple(known[number] for number in index))

    def part(self, name: str) -> LossGrams:
        """Return the statistics of one loss.

        Raises:
            KeyError: there is none of this name.
        """
        return self.parts[name] if self.index is None else self.parts[name].take(self.index)

    def read(self, name: str) -> Array:
        """Return one of the arrays ``SHARED`` for the replicates that count."""
        array: Array = getattr(self, name)
        return array if self.index is None else np.take(array, self.index, axis=_axis(name, array))

    def whole(self) -> ByLoss:
        """Return the same statistics, with arrays of the replicates that count only."""
        parts = {name: self.part(name) for name in self.parts}
        return _made(parts, [self.read(name) for name in SHARED])


def merged(several: Sequence[ByLoss | None], groups: Sequence[Group]) -> ByLoss | None:
    """Return the statistics of all replicates of several recordings; None if none has several losses.

    Raises:
        GradlensError: the recordings have different losses.
    """
    known = [by_loss.whole() for by_loss in several if by_loss is not None]
    if not known:
        return None
    names = known[0].names
    if len(known) < len(several) or any(by_loss.names != names for by_loss in known):
        described = [", ".join(by_loss.names) if by_loss else "the sum alone" for by_loss in several]
        raise GradlensError(
            f"recordings of different losses cannot be merged ({'; '.join(dict.fromkeys(described))}); record all of "
            "them with the same losses"
        )
    parts = {name: _joined([by_loss.parts[name] for by_loss in known], groups) for name in names}
    arrays = {name: [by_loss.read(name) for by_loss in known] for name in SHARED}
    return _made(parts, [np.concatenate(kept, axis=_axis(name, kept[0])) for name, kept in arrays.items()])


def stored(by_loss: ByLoss | None) -> tuple[list[str], dict[str, NDArray[Any]]]:
    """Return the names of the losses and the arrays for the file."""
    if by_loss is None:
        return [], {}
    whole = by_loss.whole()
    arrays = {f"losses.{name}": getattr(whole, name) for name in SHARED}
    for number, part in enumerate(whole.parts.values()):
        arrays |= {f"loss.{number}.{name}": array for name, array in _arrays(part)}
    return list(whole.names), arrays


def read(names: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> ByLoss | None:
    """Return what ``stored`` has written; None if there are no names."""
    if not names:
        return None
    parts = {}
    for number, name in enumerate(names):
        prefix = f"loss.{number}."
        own = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
        parts[name] = LossGrams(
            own["grams"],
            by_group(own, "inner"),
            by_group(own, "projected"),
            by_group(own, "carried"),
            own.get("halves"),
        )
    return _made(parts, [arrays[f"losses.{name}"] for name in SHARED])


def _made(parts: Mapping[str, LossGrams], shared: Sequence[Array]) -> ByLoss:
    """Return the statistics from the arrays ``SHARED``, in their order."""
    values, products, mean_products, errors = shared
    return ByLoss(parts, values, products, mean_products, errors)


def _arrays(part: LossGrams) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "grams", part.grams
    if part.halves is not None:
        yield "halves", part.halves
    tables = {"inner": part.inner, "projected": part.projected_errors, "carried": part.carried}
    for name, by_number in tables.items():
        for number, array in by_number.items():
            yield f"{name}.{number}", array


def _joined(parts: Sequence[LossGrams], groups: Sequence[Group]) -> LossGrams:
    halves = [part.halves for part in parts if part.halves is not None]
    return LossGrams(
        np.concatenate([part.grams for part in parts], axis=1),
        joined([(part.inner, part.grams) for part in parts], groups),
        concatenated([part.projected_errors for part in parts]),
        concatenated([part.carried for part in parts]),
        np.concatenate(halves, axis=1) if len(halves) == len(parts) else None,
    )


def _taken(table: Mapping[int, Array], rows: Sequence[int]) -> dict[int, Array]:
    return {number: array[list(rows)] for number, array in table.items()}


def _axis(name: str, array: NDArray[Any]) -> int:
    """Return the axis of replicates."""
    return array.ndim - (2 if name == "products" else 1)
