"""The first samples of a batch, for a pass over a few samples."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor

from gradlens.hooks.nesting import cloned, copied, items_of, plain, rebuilt, tensors_of
from gradlens.hooks.samples import (
    Numbered,
    are_images,
    are_numbered,
    inner_lengths,
    is_list,
    is_record,
    lengths_of,
    listed_lengths,
)


def first_samples(batch: object, count: int, samples: int, *, second: bool = False) -> object | None:
    """Return a copy of the first ``count`` samples of a batch, or None if it cannot be cut.

    Each tensor is cut along its first axis of size ``samples``, and each list of that length whose items are samples
    is sliced. Rows that are numbered by sample, as the boxes in a batch with ``batch_idx`` or in
    YOLOv5's targets, are selected. What has no
    such axis stays whole.

    Args:
        batch: tensors in nested containers.
        count: number of samples of the copy.
        samples: number of samples of the batch.
        second: whether to cut axis 1 of tensors whose axes 0 and 1 both have that size.
    """
    if samples <= count:
        return None
    cut = _Cut(count, samples, second, samples in listed_lengths(batch))
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


class _Cut:
    """Cuts a batch; ``done`` says whether anything was cut.

    Args:
        count: number of samples to keep.
        samples: number of samples of the batch.
        second: whether to cut axis 1 of tensors whose axes 0 and 1 both have that size.
        listed: whether some list surely holds one item per sample.
    """

    def __init__(self, count: int, samples: int, second: bool, listed: bool) -> None:
        self.count, self.samples, self.second, self.listed = count, samples, second, listed
        self.done = False

    def of(self, value: Any, *, outermost: bool = False) -> object:
        """Return the first samples of a part of the batch."""
        if isinstance(value, Tensor):
            return self._tensor(value)
        numbered, items = Numbered.of(value), items_of(value)
        if numbered is not None and items is not None:
            kept = numbered.numbers < self.count
            parts = [
                cloned(cast(Tensor, item)[kept]) if numbered.holds(item) else self.of(item) for item in items
            ]
            return rebuilt(value, parts)
        if is_list(value) and self._lists(value, outermost):
            self.done = True
            return copied(value[: self.count])
        return value if items is None else rebuilt(value, [self._item(item, items) for item in items])

    def _item(self, item: Any, items: list[object]) -> object:
        """Return the first samples of a part of a container."""
        return cloned(item[item[:, 0] < self.count]) if are_numbered(item, items) else self.of(item)

    def _lists(self, value: Any, outermost: bool) -> bool:
        """Return whether the items of a list are the samples."""
        items = list(value)
        if len(items) != self.samples or not (tensors_of(items) or self.listed):
            return False
        if outermost or are_images(items):
            return are_images(items) or lengths_of(value, outermost=True) == {len(items)} != inner_lengths(
                items
            )
        if self.listed or all(map(is_record, items)):
            return True
        return self.samples not in (inner_lengths(items) or ()) or not _every_axis(items, self.samples)

    def _tensor(self, tensor: Tensor) -> Tensor:
        if not plain(tensor):
            raise TypeError("a sparse or nested tensor cannot be cut")
        axes = [axis for axis, size in enumerate(tensor.shape) if size == self.samples]
        if not axes:
            return cloned(tensor)
        self.done = True
        axis = 1 if self.second and axes[:2] == [0, 1] else axes[0]
        return cloned(tensor.detach().narrow(axis, 0, self.count), like=tensor)


def _every_axis(value: object, samples: int) -> bool:
    return all(tensor.dim() and tensor.shape[0] == samples for tensor in tensors_of(value))
