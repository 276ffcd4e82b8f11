"""Detection of partial splits in their three forms: split, slices and two 1x1 convolutions."""

from __future__ import annotations

from typing import NamedTuple

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, TensorKey

LOOK_BACK = 12
"""Largest number of operations that are followed towards the input to find the channel axis of a tensor."""


class Part(NamedTuple):
    """A part of a partial split: the tensor that holds it and its channels in the source."""

    key: TensorKey
    channels: tuple[int, int, int] | None  # start, stop, step; None for a projection


Cut = tuple[TensorKey, tuple[Part, ...], int]


def cut_by_split(graph: Graph, index: int) -> Cut | None:
    """Return the parts of a ``split``/``chunk`` node along channels, or None.

    Such a node has several outputs, so the graph shows no fork.
    """
    node = graph.nodes[index]
    edges = graph.inputs.get(index, ())
    shape = tuple(node.detail.get("self_sym_sizes", ()))
    if not edges or not shape:
        return None
    source = TensorKey(edges[0].producer, edges[0].output)
    axis = node.detail["dim"] % len(shape)
    if axis != channel_axis(graph, source):
        return None
    parts, start = [], 0
    for output, part_shape in enumerate(node.shapes):
        stop = start + part_shape[axis]
        if TensorKey(index, output) in graph.consumers:
            parts.append(Part(TensorKey(index, output), (start, stop, 1)))
        start = stop
    return (source, tuple(parts), axis) if len(parts) >= 2 else None


def cut_by_slices(graph: Graph, source: TensorKey) -> Cut | None:
    """Return disjoint slices ``h[:, :c]``, ``h[:, c:]`` of one tensor along channels, or None.

    Their contributions are padded with zeros, so the cosine of any two is 0 by construction.
    """
    axis = channel_axis(graph, source)
    shape = graph.shape(source)
    if axis is None or axis >= len(shape):
        return None
    parts, taken = [], set[int]()
    for edge in graph.consumers[source]:
        detail = graph.nodes[edge.consumer].detail
        if graph.nodes[edge.consumer].operation != "Slice" or detail["dim"] % len(shape) != axis:
            continue
        start, stop, step = slice(detail["start"], detail["end"], detail["step"]).indices(shape[axis])
        channels = set(range(start, stop, step))
        if channels & taken:
            return None
        taken |= channels
        parts.append(Part(TensorKey(edge.consumer, 0), (start, stop, step)))
    parts = [part for part in parts if part.key in graph.consumers]
    if len(parts) < 2:
        return None
    parts.sort(key=lambda part: part.channels or (0, 0, 0))
    return source, tuple(parts), axis


def projection_end(graph: Graph, edge: Edge) -> TensorKey | None:
    """Return the part that the 1x1 convolution reading this edge makes, or None.

    The part includes the normalisation and activation that follow the convolution.
    """
    node = _through(graph, edge)
    described = graph.nodes[node]
    if described.operation not in ops.CONVOLUTIONS or any(size != 1 for size in described.kernel):
        return None
    if not described.kernel or not described.weighted:
        return None
    while True:
        readers = graph.readers.get(node, ())
        if len(readers) != 1:
            return TensorKey(node, 0)
        following = readers[0].consumer
        follower = graph.nodes[following]
        many = len(graph.inputs.get(following, ())) != 1
        same = follower.shapes[:1] == graph.nodes[node].shapes[:1]
        if many or follower.weighted or not same or follower.operation in ops.CONCATENATIONS:
            return TensorKey(node, 0)
        node = following


def _through(graph: Graph, edge: Edge) -> int:
    node = edge.consumer
    while graph.nodes[node].operation in ops.COPIES and len(graph.readers.get(node, ())) == 1:
        node = graph.readers[node][0].consumer
    return node


def channel_axis(graph: Graph, key: TensorKey) -> int | None:
    """Return the axis that holds the channels of a tensor, derived from the layer that it comes from.

    Convolutions and batch norms put them on axis 1, linear layers and layer norms on the last;
    permutes in between are followed. None if no such layer is nearby.
    """
    node, moves = key.node, list[list[int]]()
    rank = len(graph.shape(key))
    for _ in range(LOOK_BACK):
        described = graph.nodes[node]
        known = _known_axis(described.operation, described.shapes)
        if known is not None:
            return _moved(known, moves) if len(described.shapes[0]) == rank else _last(known, described, rank)
        if described.operation in ops.AXIS_MOVES:
            moves.append(_order(described.operation, described.detail, len(described.shapes[0])))
        edges = graph.inputs.get(node, ())
        if not edges:
            return 1 if rank == 4 and not moves else None
        node = edges[0].producer
    return None


def _known_axis(operation: str, shapes: tuple[tuple[int, ...], ...]) -> int | None:
    if operation in ops.CHANNELS_SECOND:
        return 1
    if operation in ops.CHANNELS_LAST:
        return len(shapes[0]) - 1
    return None


def _last(known: int, described: object, rank: int) -> int | None:
    """Return the channel axis after the flattened rows of a linear layer are reshaped: the channels stay last."""
    return rank - 1 if known != 1 or rank == 3 else None


def _order(operation: str, detail: object, rank: int) -> list[int]:
    saved = detail if isinstance(detail, dict) else {}
    if operation == "Permute" and "dims" in saved:
        return [axis % rank for axis in saved["dims"]]
    order = list(range(rank))
    if operation == "Transpose" and "dim0" in saved:
        first, second = saved["dim0"] % rank, saved["dim1"] % rank
        order[first], order[second] = order[second], order[first]
    return order


def _moved(axis: int, moves: list[list[int]]) -> int | None:
    for order in reversed(moves):
        if axis not in order:
            return None
        axis = order.index(axis)
    return axis
