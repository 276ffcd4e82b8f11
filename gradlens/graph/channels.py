"""Where the channels of each tensor are, and which layers mix positions instead of channels."""

from __future__ import annotations

from gradlens.graph import ops
from gradlens.graph.nodes import Graph, Shape

FOLDED = -1
"""Channels counted among the rows of a matrix: a linear layer on that mixes positions."""


def mixes_positions(graph: Graph) -> list[bool]:
    """True for each linear layer that works along positions, as the token mixing of an MLP-Mixer does."""
    return _followed(graph)[1]


def channel_axes(graph: Graph) -> list[int | None]:
    """The axis of each node's (first) output that holds its channels; None where it cannot be told."""
    return [axis if axis != FOLDED else None for axis in _followed(graph)[0]]


def _followed(graph: Graph) -> tuple[list[int | None], list[bool]]:
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
        elif node.weighted:
            mixing[index] = axis is not None and axis != len(shape) - 1
            axes[index] = axis if mixing[index] else last
        elif axis is not None:
            axes[index] = _carried(node.operation, node.detail, axis, shape, node.shapes[0])
    return axes, mixing


def _carried(operation: str, detail: object, axis: int, given: Shape, made: Shape) -> int | None:
    """The channel axis behind an operation without weights; None where it cannot be told."""
    saved = detail if isinstance(detail, dict) else {}
    rank = len(given)
    if operation in ("Transpose", "T"):
        pair = [saved.get("dim0", 0) % rank, saved.get("dim1", 1) % rank] if rank else []
        return pair[1 - pair.index(axis)] if axis in pair else axis
    if operation == "Permute":
        order = [place % rank for place in saved.get("dims", range(rank))]
        return order.index(axis) if axis in order else axis
    if operation in ops.RESHAPES:
        return _reshaped(axis, given, made)
    if len(made) < rank:
        return _reduced(axis, given, made)
    return axis if len(made) == rank else None


def _reduced(axis: int, given: Shape, made: Shape) -> int | None:
    """A global pooling takes positions away: the axes before the channels stay, or the channels stay last."""
    if axis < len(made) and made[: axis + 1] == given[: axis + 1]:
        return axis
    last = axis == len(given) - 1 and bool(made) and made[-1] == given[-1]
    return len(made) - 1 if last else None


def _reshaped(axis: int, given: Shape, made: Shape) -> int | None:
    if axis == FOLDED:  # rows of a matrix, viewed back as [n, channels, positions]
        return 1 if len(made) == 3 else FOLDED if len(made) == len(given) else None
    if axis == len(given) - 1:
        return len(made) - 1 if made and made[-1] == given[-1] else None
    if len(made) == 2 and made[-1] == given[-1]:
        return FOLDED
    return axis if axis < len(made) and made[: axis + 1] == given[: axis + 1] else None
