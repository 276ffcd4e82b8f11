"""Tensors in nested batches and outputs: tuples, lists, dicts and dataclasses; where the samples of a batch are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError


def tensors_of(value: object) -> list[Tensor]:
    """Return the tensors in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in _items(value) or () for tensor in tensors_of(item)]


def batch_size(batch: object) -> int:
    """Return the number of samples in a batch, 0 if it holds no tensor with an axis.

    It is the length of axis 0 of all tensors, or the length of the lists that hold one item per sample (the images and
    the targets of a detector). If those disagree, it is the one size that every tensor has along some axis.

    Raises:
        GradlensError: several numbers are possible, or none.
    """
    lengths = _lengths(batch, outermost=True)
    if lengths is None:
        return 0
    if not lengths:
        lengths = (
            _common(set(tensor.shape) if plain(tensor) else None for tensor in tensors_of(batch)) or set()
        )
    if len(lengths) == 1:
        return lengths.pop()
    possible = f"could be {' or '.join(map(str, sorted(lengths)))}" if lengths else "cannot be found"
    shapes = ", ".join(str(list(tensor.shape)) for tensor in tensors_of(batch)[:4] if plain(tensor))
    raise GradlensError(
        f"the number of samples {possible}, because the tensors of a batch have the shapes {shapes}; pass it: "
        "capture(..., samples=N)"
    )


def first_samples(batch: object, count: int, samples: int, *, second: bool = False) -> object | None:
    """Return a copy of the first ``count`` samples of a batch, or None if it cannot be cut.

    Each tensor is cut along its first axis of size ``samples``, and each list of that length whose items are samples
    is sliced. What has no such axis stays whole.

    Args:
        batch: tensors in nested containers.
        count: number of samples of the copy.
        samples: number of samples of the batch.
        second: whether to cut axis 1 of tensors whose axes 0 and 1 both have that size.
    """
    if samples <= count:
        return None
    cut = _Cut(count, samples, second)
    try:
        first = cut.of(batch, outermost=True)
    except (
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
    ):  # a container or tensor that cannot be rebuilt
        return None
    return first if cut.done else None


def has_two_readings(batch: object, samples: int) -> bool:
    """Return whether the samples may be along axis 0 or 1 of some tensors, and another tensor has them on one axis.

    Then the network decides: cut along the wrong axis, its output does not fit the other tensor.
    """
    counts = [
        tuple(tensor.shape[:2]).count(samples)
        for tensor in tensors_of(batch)
        if plain(tensor) and samples > 0
    ]
    return {1, 2} <= set(counts)


def copied(batch: object) -> object:
    """Return a batch whose tensors and containers are copies, so that a step that changes them leaves the batch alone.

    What cannot be copied is shared.
    """
    try:
        return _mapped(batch, _cloned)
    except (TypeError, ValueError, AttributeError, RuntimeError):
        return batch


class _Cut:
    """Cuts a batch; ``done`` says whether anything was cut."""

    def __init__(self, count: int, samples: int, second: bool) -> None:
        self.count, self.samples, self.second = count, samples, second
        self.done = False

    def of(self, value: object, *, outermost: bool = False) -> object:
        if isinstance(value, Tensor):
            return self._tensor(value)
        items = _items(value)
        if (
            isinstance(value, (list, tuple))
            and not hasattr(value, "_fields")
            and self._lists(value, outermost)
        ):
            self.done = True
            return copied(value[: self.count])
        return value if items is None else _rebuilt(value, [self.of(item) for item in items])

    def _lists(self, value: list[object] | tuple[object, ...], outermost: bool) -> bool:
        """Return whether the items of a list are the samples."""
        if len(value) != self.samples or not tensors_of(value):
            return False
        items = list(value)
        inner = self.samples in (_common(map(_lengths, items)) or ())
        if outermost:
            return _lengths(value, outermost=True) == {len(items)} and (not inner or _single(items))
        return not inner or not _every_axis(value, self.samples)

    def _tensor(self, tensor: Tensor) -> Tensor:
        if not plain(tensor):
            raise TypeError("a sparse or nested tensor cannot be cut")
        axes = [axis for axis, size in enumerate(tensor.shape) if size == self.samples]
        if not axes:
            return _cloned(tensor)
        self.done = True
        axis = 1 if self.second and axes[:2] == [0, 1] else axes[0]
        return _cloned(tensor.detach().narrow(axis, 0, self.count), like=tensor)


def _every_axis(value: object, samples: int) -> bool:
    return all(tensor.dim() and tensor.shape[0] == samples for tensor in tensors_of(value))


def _lengths(value: object, *, outermost: bool = False) -> set[int] | None:
    """Return the numbers of samples that a value allows; None if it tells nothing, empty if its parts disagree."""
    if isinstance(value, Tensor):
        return {int(value.size(0))} if value.dim() else None
    items = _items(value)
    if items is None:
        return None
    inner = _common(map(_lengths, items))
    listed = isinstance(value, (list, tuple)) and not hasattr(value, "_fields")
    if inner is None or not listed:
        return inner
    if not outermost:
        return {len(items), *inner}
    samples = len(items) > 2 and all(_items(item) is not None for item in items)
    return {len(items)} if samples and (not inner or _single(items)) else inner


def _single(items: list[object]) -> bool:
    """Return whether each item looks like one sample: it holds a number, or tensors of different lengths."""
    return all(
        len({tensor.shape[:1] for tensor in tensors_of(item)}) > 1
        or any(isinstance(part, (int, float, str)) for part in _items(item) or ())
        or len(tensors_of(item)) == 1
        for item in items
    )


def _common(candidates: Iterable[set[int] | None]) -> set[int] | None:
    """Return the intersection of the sets; None if there are none."""
    known = [lengths for lengths in candidates if lengths is not None]
    return set.intersection(*known) if known else None


def _items(value: object) -> list[object] | None:
    """Return the parts of a container; None for anything else."""
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, item.name) for item in fields(value)]
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else None


def _mapped(value: object, function: Callable[[Tensor], Tensor]) -> object:
    """Return a container of the same kind with ``function`` applied to each tensor."""
    if isinstance(value, Tensor):
        return function(value)
    items = _items(value)
    return value if items is None else _rebuilt(value, [_mapped(item, function) for item in items])


def _rebuilt(value: object, items: list[object]) -> object:
    """Return a container of the same kind with other parts, in the order of ``_items``."""
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


def _cloned(tensor: Tensor, like: Tensor | None = None) -> Tensor:
    """Return a copy that is a leaf, as the batch's tensors are; parameters are shared."""
    if isinstance(tensor, nn.Parameter):
        return tensor
    requires = (tensor if like is None else like).requires_grad
    return tensor.detach().clone().requires_grad_(requires)
