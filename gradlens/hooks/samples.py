"""The number of samples of a batch, by its structure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradlens.errors import GradlensError
from gradlens.hooks.nesting import items_of, plain, tensors_of
from gradlens.metrics.hsic import FEWEST

CHANNELS = (1, 3)
"""Channels of an image: a tensor ``[c, h, w]`` is one sample, because a batch has more samples than that."""
ROWS = ("batch_idx", "batch_index", "image_idx")
"""Members of a batch that hold, for each row of other members, the number of its sample."""

COLUMNS = 6
"""Columns of a row of YOLOv5's targets: number of the image, class, centre and size of the box."""


def batch_size(batch: object) -> int:
    """Return the number of samples in a batch, 0 if it holds no tensor with an axis.

    It is the length of axis 0 of all tensors, or the length of the lists that hold one item per sample (the images and
    the targets of a detector). If those disagree, it is the one size that every tensor has along some axis.

    Raises:
        GradlensError: several numbers are possible, or none.
    """
    lengths, listed = lengths_of(batch, outermost=True), listed_lengths(batch)
    if lengths is None:
        return 0
    if len(listed) > 1:
        raise GradlensError(
            f"the lists of samples in a batch have {' and '.join(map(str, sorted(listed)))} items; give one item per "
            "sample in each, such as an image and its target"
        )
    if not lengths and not listed:
        axes = (set(tensor.shape) if plain(tensor) else None for tensor in tensors_of(batch))
        lengths = _common(axes) or set()
    lengths = {
        length for length in lengths if length >= FEWEST
    } or lengths  # too few only if there is no other
    if len(lengths) == 1:
        return lengths.pop()
    possible = f"could be {' or '.join(map(str, sorted(lengths)))}" if lengths else "cannot be found"
    shapes = ", ".join(str(list(tensor.shape)) for tensor in tensors_of(batch)[:4] if plain(tensor))
    raise GradlensError(
        f"the number of samples {possible}, because the tensors of a batch have the shapes {shapes}; pass it: "
        "capture(..., samples=N)"
    )


class Numbered(NamedTuple):
    """A mapping with rows that are numbered by sample.

    Attributes:
        key: of the numbers.
        numbers: the sample of each row ``[rows]``.
    """

    key: object
    numbers: Tensor

    @classmethod
    def of(cls, value: object) -> Numbered | None:
        """Return the numbers in a mapping; None if it has none."""
        if not isinstance(value, Mapping):
            return None
        keys = [key for key in ROWS if isinstance(value.get(key), Tensor) and value[key].dim() == 1]
        return cls(keys[0], value[keys[0]]) if keys else None

    def holds(self, value: object) -> bool:
        """Return whether a member has these rows; if there are as many rows as samples, an image has more axes."""
        if not isinstance(value, Tensor) or not value.dim() or value.shape[0] != len(self.numbers):
            return False
        return value.dim() < 3 or (value.dim() == 3 and value.shape[-1] <= 3)


def are_numbered(item: object, items: list[object]) -> bool:
    """Return whether an item has the form of YOLOv5's targets ``[rows, 6]``, with the number of an image in column 0.

    The images ``[n, c, h, w]`` are beside it. With as many rows as images it could also hold one row per image; then
    the columns of class and box decide, and the rows have to belong to several images.

    Args:
        item: one of the items.
        items: all parts of a container.
    """
    images = next((i for i in items if isinstance(i, Tensor) and plain(i) and i.dim() == 4), None)
    if images is None or not isinstance(item, Tensor) or not plain(item) or item.dim() != 2:
        return False
    if item.shape[1] != COLUMNS or item.is_complex() or item.dtype == torch.bool:
        return False
    numbers, classes, boxes = item[:, 0].double(), item[:, 1].double(), item[:, 2:]
    inside = bool(((numbers >= 0) & (numbers < len(images)) & (numbers == numbers.round())).all())
    if len(item) != len(images) or not inside:
        return inside
    labelled = bool(((classes >= 0) & (classes == classes.round())).all())
    return labelled and bool(((boxes >= 0) & (boxes <= 1)).all()) and len(numbers.unique()) > 1


def lengths_of(value: object, *, outermost: bool = False) -> set[int] | None:
    """Return the numbers of samples that a value allows; None if it tells nothing, empty if its parts disagree."""
    if isinstance(value, Tensor):
        return (
            {int(value.size(0))} if value.dim() and value.size(0) else None
        )  # no box is no number of samples
    items, numbered = items_of(value), Numbered.of(value)
    if items is None:
        return None
    if numbered is not None:
        return _common(lengths_of(item) for item in items if not numbered.holds(item)) or set()
    inner = inner_lengths(items)
    if not is_list(value):
        return inner
    if inner is None:
        return {len(items)} if tensors_of(items) and all(map(is_record, items)) else None
    if are_images(items):
        return {len(items)}
    if not outermost:
        return {len(items)} if _are_records(items) else {len(items), *inner}
    return {len(items)} if _outermost_samples(items, inner) else inner


def _outermost_samples(items: list[object], inner: set[int]) -> bool:
    """Return whether the items of the whole batch are the samples, and not its inputs and targets."""
    containers = all(items_of(item) is not None for item in items)
    enough = len(items) > 2 if all(map(is_record, items)) else len(items) >= FEWEST
    return containers and enough and (not inner or _single(items))


def listed_lengths(batch: object, *, outermost: bool = True) -> set[int]:
    """Return the lengths of the lists that surely hold one item per sample: images, and dicts with their targets."""
    items = items_of(batch)
    if items is None or isinstance(batch, str):
        return set()
    if is_list(batch) and (are_images(items) or (not outermost and _are_records(items))):
        return {len(items)}
    if outermost and is_list(batch) and _outermost_samples(items, inner_lengths(items) or set()):
        return {len(items)}
    listed = set().union(*(listed_lengths(item, outermost=False) for item in items))
    records = [items_of(item) or [] for item in items if is_list(item)]
    return listed | {len(item) for item in records if listed and item and all(map(is_record, item))}


def are_images(items: list[object]) -> bool:
    """Return whether the items are images ``[c, h, w]`` with the channels of one."""
    shapes: list[Any] = [item.shape if isinstance(item, Tensor) and plain(item) else () for item in items]
    return bool(shapes) and all(
        len(shape) == 3 and shape[0] in CHANNELS and shape[0] == shapes[0][0] for shape in shapes
    )


def _are_records(items: list[object]) -> bool:
    """Return whether the items are the records of single samples: their images, or their targets."""
    return bool(items) and all(map(is_record, items)) and (_single(items) or not inner_lengths(items))


def is_record(item: object) -> bool:
    """Return whether an item is a dict or a dataclass, which may hold one sample."""
    if Numbered.of(item) is not None:
        return False
    return isinstance(item, Mapping) or (is_dataclass(item) and not isinstance(item, type))


def _single(items: list[object]) -> bool:
    """Return whether each item looks like one sample: it holds an image, a number, or tensors of different lengths."""
    return all(
        len({tensor.shape[:1] for tensor in tensors_of(item)}) > 1
        or any(isinstance(part, (int, float, str)) for part in items_of(item) or ())
        or len(tensors_of(item)) == 1
        or any(are_images([tensor]) for tensor in tensors_of(item))
        for item in items
    )


def inner_lengths(items: list[object]) -> set[int] | None:
    """Return the numbers of samples that all items allow."""
    return _common(lengths_of(item) for item in items if not are_numbered(item, items))


def is_list(value: object) -> bool:
    """Return whether a value is a list or a tuple whose items have no names."""
    return isinstance(value, (list, tuple)) and not hasattr(value, "_fields")


def _common(candidates: Iterable[set[int] | None]) -> set[int] | None:
    """Return the intersection of the sets; None if there are none."""
    known = [lengths for lengths in candidates if lengths is not None]
    return set.intersection(*known) if known else None
