"""Detection of partial splits by one operation and by slices."""

from __future__ import annotations

from typing import NamedTuple

from gradlens.graph import ops
from gradlens.graph.axes import cut_axes
from gradlens.graph.nodes import Graph, Node, Shape, TensorKey


class Part(NamedTuple):
    """A part of a partial split: the tensor that holds it and its channels in the source."""

    key: TensorKey
    channels: tuple[int, int, int] | None  # start, stop, step; None for a projection


Cut = tuple[TensorKey, tuple[Part, ...], int]


def cut_by_split(graph: Graph, index: int) -> Cut | None:
    """Return the parts of a ``split``, ``chunk`` or ``unbind`` node along channels, or None.

    Such a node has several outputs, so the graph shows no fork.
    """
    node = graph.nodes[index]
    edges = graph.inputs.get(index, ())
    if not edges or "dim" not in node.detail:
        return None
    source = TensorKey(edges[0].producer, edges[0].output)
    axis = node.detail["dim"] % len(graph.shape(source))
    if axis not in cut_axes(graph, source):
        return None
    parts, start = [], 0
    for output, part_shape in enumerate(node.shapes):
        stop = start + (part_shape[axis] if node.operation in ops.SPLITS else 1)
        if TensorKey(index, output) in graph.consumers:
            parts.append(Part(TensorKey(index, output), (start, stop, 1)))
        start = stop
    return (source, tuple(parts), axis) if len(parts) >= 2 else None


def cut_by_slices(graph: Graph, source: TensorKey) -> Cut | None:
    """Return disjoint slices ``h[:, :c]``, ``h[:, c:]`` of one tensor along channels, or None.

    Their contributions are padded with zeros, so the cosine of any two is 0 by construction.
    """
    for axis in cut_axes(graph, source):
        parts = _slices_along(graph, source, axis)
        if len(parts) >= 2:
            return source, tuple(sorted(parts, key=lambda part: part.channels or (0, 0, 0))), axis
    return None


def _slices_along(graph: Graph, source: TensorKey, axis: int) -> list[Part]:
    """Return the slices of a tensor along one axis; empty if two of them overlap."""
    parts, taken = [], set[int]()
    for edge in graph.consumers[source]:
        entries = _entries(graph.nodes[edge.consumer], graph.shape(source), axis)
        key = TensorKey(edge.consumer, 0)
        if entries is None or key not in graph.consumers:
            continue
        if taken & set(entries):
            return []
        taken |= set(entries)
        parts.append(Part(key, (entries.start, entries.stop, entries.step)))
    return parts


def _entries(node: Node, shape: Shape, axis: int) -> range | None:
    """Return the entries that a node takes along an axis; None if it takes none, or not at equal distances."""
    detail = node.detail
    if node.operation not in ops.SLICES or "dim" not in detail or detail["dim"] % len(shape) != axis:
        return None
    size = shape[axis]
    if node.operation == "Slice":
        return range(*slice(detail["start"], detail["end"], detail["step"]).indices(size))
    index = detail.get("index", [])
    entries = [entry % size for entry in ([index] if isinstance(index, int) else index)]
    if not entries:
        return None
    step = entries[1] - entries[0] if len(entries) > 1 else 1
    run = range(entries[0], entries[0] + step * len(entries), step) if step else range(0)
    return run if list(run) == entries else None
