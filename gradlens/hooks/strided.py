"""The cut behind a node ``AsStrided``.

If a tensor is changed in place, autograd makes the nodes of its views anew, all as ``AsStrided``: size, stride and
offset instead of the operation that was written. A cut along one axis can be told from them.
"""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from torch.autograd.graph import Node as AutogradNode

from gradlens.graph.nodes import Shape
from gradlens.hooks.learning import shapes


class Cut(NamedTuple):
    """A run of entries along one axis, or a single entry.

    Attributes:
        operation: ``Slice`` or ``Select``.
        detail: as such a node saves it.
    """

    operation: str
    detail: dict[str, int | list[int]]


def strided_cut(node: AutogradNode) -> Cut | None:
    """Return the cut that an ``AsStrided`` node is; None if it is another view, or a cut along several axes."""
    producer, output = node.next_functions[0]
    if producer is None:
        return None
    size, stride = (tuple(getattr(node, f"_saved_{name}")) for name in ("size", "stride"))
    offset, base = int(getattr(node, "_saved_storage_offset", 0) or 0), shapes(producer)[output]
    cuts = (_cut(base, strides, size, stride, offset) for strides in _layouts(base))
    return next((cut for cut in cuts if cut is not None), None)


def _layouts(shape: Shape) -> list[Shape]:
    """Return the strides of a contiguous tensor, and those of one in the format channels last."""
    contiguous = _strides(shape)
    if len(shape) < 4:
        return [contiguous]
    first, *spatial, channels = _strides((shape[0], *shape[2:], shape[1]))
    return [contiguous, (first, channels, *spatial)]


def _strides(shape: Shape) -> Shape:
    return tuple(accumulate(shape[:0:-1], lambda step, length: step * length, initial=1))[::-1]


def _cut(base: Shape, strides: Shape, size: Shape, stride: Shape, offset: int) -> Cut | None:
    for axis, (length, step) in enumerate(zip(base, strides, strict=True)):
        start = offset // step
        if offset % step or start >= length:
            continue
        others = base[:axis] + base[axis + 1 :], strides[:axis] + strides[axis + 1 :]
        if (size, stride) == others:
            return Cut("Select", {"dim": axis, "index": start})
        if len(size) != len(base) or size[axis] >= length or stride[axis] % step:
            continue
        if (size[:axis] + size[axis + 1 :], stride[:axis] + stride[axis + 1 :]) == others:
            by = stride[axis] // step
            end = min(start + size[axis] * by, length)
            return Cut(
                "Slice", {"dim": axis, "start": start, "end": end, "step": by, "self_sym_sizes": [*base]}
            )
    return None
