"""The channel axis of each tensor, and the layers that mix positions instead of channels."""

from __future__ import annotations

from gradlens.graph import ops
from gradlens.graph.nodes import Graph, Shape

FOLDED = -1
"""Marks channels that are folded into the rows of a matrix: a linear layer on it mixes positions."""


def mixes_positions(graph: Graph) -> list[bool]:
    """Return, by node, whether it is a linear layer along positions, as the token mixing of an MLP-Mixer is."""
    return _axes_and_mixing(graph)[1]


def channel_axes(graph: Graph) -> list[int | None]:
    """Return the axis of each node's (first) output that holds its channels; None if it cannot be determined."""
    return [axis if axis != FOLDED else None for axis in _axes_and_mixing(graph)[0]]


def _axes_and_mixing(graph: Graph) -> tuple[list[int | None], list[bool]]:
    axes: list[int | None] = [None] * len(graph.nodes)
    mixing = [False] * len(graph.nodes)
    for index in graph.forward_order:
        node, edges = graph.nodes[index], graph.inputs.get(index, ())
        if not node.shapes:
            continue
        last = len(node.shapes[0]) - 1
        axis: int | None = None
        shape: Shape = ()
        if edges:
            source = edges[0]
            axis, shape = axes[source.producer], graph.nodes[source.producer].shapes[source.output]
        if node.operation in ops.CHANNELS_SECOND:
            axes[index] = 1
        elif node.operation == "NativeLayerNorm":
            axes[index] = last
        elif node.left:
            axes[index] = last - 1
        elif node.weighted:
            mixing[index] = axis is not None and axis != len(shape) - 1
            axes[index] = axis if mixing[index] else last
        elif axis is not None:
            axes[index] = _carried(node.operation, node.detail, axis, shape, node.shapes[0])
    return axes, mixing


def _carried(operation: str, detail: object, axis: int, before: Shape, after: Shape) -> int | None:
    """Return the channel axis after an operation without weights; None if it cannot be determined."""
    saved = detail if isinstance(detail, dict) else {}
    rank = len(before)
    if operation in ("Transpose", "T"):
        pair = [saved.get("dim0", 0) % rank, saved.get("dim1", 1) % rank] if rank else []
        return pair[1 - pair.index(axis)] if axis in pair else axis
    if operation == "Permute":
        order = [dim % rank for dim in saved.get("dims", range(rank))]
        return order.index(axis) if axis in order else axis
    if operation in ops.RESHAPES:
        return _reshaped(axis, before, after)
    if len(after) < rank:
        return _reduced(axis, before, after)
    return axis if len(after) == rank else None


def _reduced(axis: int, before: Shape, after: Shape) -> int | None:
    """Return the channel axis after a global pooling, which keeps the axes up to the channels, or the channels last."""
    if axis < len(after) and after[: axis + 1] == before[: axis + 1]:
        return axis
    last = axis == len(before) - 1 and bool(after) and after[-1] == before[-1]
    return len(after) - 1 if last else None


def _reshaped(axis: int, before: Shape, after: Shape) -> int | None:
    if axis == FOLDED:  # rows of a matrix, viewed back as [n, channels, positions]
        return 1 if len(after) == 3 else FOLDED if len(after) == len(before) else None
    if axis == len(before) - 1:
        return len(after) - 1 if after and after[-1] == before[-1] else None
    if len(after) == 2 and after[-1] == before[-1]:
        return FOLDED
    return axis if axis < len(after) and after[: axis + 1] == before[: axis + 1] else None
