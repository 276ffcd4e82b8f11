"""The axes of a tensor that hold channels and nothing else, followed through reshapes and permutations.

Each axis is a product of factors, each of channels or of something else (samples, positions). A reshape regroups the
factors, a permutation moves the axes: after the channel shuffle of ShuffleNet, axis 1 still holds channels alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, Node, Shape, TensorKey

LOOK_BACK = 100
"""Largest number of operations that are followed towards the input to find the channels of a tensor."""


class Factor(NamedTuple):
    """A factor of the size of an axis."""

    size: int
    channels: bool


Axes = Sequence[Sequence[Factor]]
"""The factors of each axis, the slowest first; an axis of size 1 has none."""


class Move(NamedTuple):
    """An operation on the way from a layer to a tensor, with the shapes of what it reads and makes."""

    node: Node
    before: Shape
    after: Shape


def cut_axes(graph: Graph, key: TensorKey) -> list[int]:
    """Return the axes along which a cut separates channels, derived from the layer that the tensor comes from.

    Convolutions and batch norms put channels on axis 1, linear layers and layer norms on the last. Empty if no such
    layer is nearby, or if an operation in between cannot be followed.
    """
    moves: list[Move] = []
    while len(moves) <= LOOK_BACK:
        node, shape = graph.nodes[key.node], graph.shape(key)
        axis = _known_axis(node.operation, len(shape))
        edge = _followed(graph.inputs.get(key.node, ()), graph, shape)
        if axis is None and edge is None and len(shape) == 4:
            axis = 1
        if axis is not None:
            return _followed_axes(axis, shape, moves)
        if edge is None:
            return []
        key = TensorKey(edge.producer, edge.output)
        moves.append(Move(node, graph.shape(key), shape))
    return []


def _followed_axes(axis: int, shape: Shape, moves: Sequence[Move]) -> list[int]:
    axes: Axes | None = [_factors(size, index == axis) for index, size in enumerate(shape)]
    for move in reversed(moves):
        axes = None if axes is None else _moved(axes, move)
    return [
        index
        for index, factors in enumerate(axes or ())
        if factors and all(factor.channels for factor in factors)
    ]


def _known_axis(operation: str, rank: int) -> int | None:
    if operation in ops.CHANNELS_SECOND:
        return 1
    return rank - 1 if operation in ops.CHANNELS_LAST else None


def _followed(edges: Sequence[Edge], graph: Graph, shape: Shape) -> Edge | None:
    """Return the edge to the input of the same shape, or to the first input."""
    same = [edge for edge in edges if graph.nodes[edge.producer].shapes[edge.output] == shape]
    return next(iter(same or edges), None)


def _moved(axes: Axes, move: Move) -> Axes | None:
    """Return the factors of the axes after an operation; None if they cannot be followed."""
    operation, detail, after = move.node.operation, move.node.detail, move.after
    if operation in ops.AXIS_MOVES:
        return [axes[axis] for axis in _order(operation, detail, len(axes))]
    if operation in ops.RESHAPES:
        return _regrouped([factor for factors in axes for factor in factors], after)
    if operation in ("Select", "Unbind"):
        dim = detail["dim"] % len(axes)
        return [*axes[:dim], *axes[dim + 1 :]]
    if operation == "Stack":
        dim = detail["dim"] % (len(axes) + 1)
        return [*axes[:dim], _factors(after[dim], channels=True), *axes[dim:]]
    if operation in ("Bmm", "Baddbmm", "Mm"):
        return None
    if len(after) < len(axes):
        return _reduced(axes, move)
    if len(after) > len(axes):
        return None
    return [
        factors
        if size == old
        else _factors(size, bool(factors) and all(factor.channels for factor in factors))
        for factors, old, size in zip(axes, move.before, after, strict=True)
    ]


def _reduced(axes: Axes, move: Move) -> Axes | None:
    """Return the factors after a reduction that keeps the first axes, or drops those between samples and channels."""
    rank = len(move.after)
    if move.after == move.before[:rank]:
        return axes[:rank]
    if move.after == (*move.before[: rank - 1], move.before[-1]):
        return [*axes[: rank - 1], axes[-1]]
    return None


def _regrouped(factors: list[Factor], shape: Shape) -> Axes | None:
    """Distribute factors over the axes of a shape; None if an axis would hold a fraction of a factor.

    Neighbouring factors of one kind are joined first, so that they can be divided anew.
    """
    runs = [
        Factor(math.prod(factor.size for factor in run), channels)
        for channels, run in itertools.groupby(factors, key=lambda factor: factor.channels)
    ]
    rest, axes = runs[::-1], list[list[Factor]]()
    for size in shape:
        axis: list[Factor] = []
        while size > 1:
            if not rest:
                return None
            factor = rest.pop()
            if size % factor.size == 0:
                axis.append(factor)
                size //= factor.size
            elif factor.size % size == 0:
                axis.append(factor._replace(size=size))
                rest.append(factor._replace(size=factor.size // size))
                size = 1
            else:
                return None
        axes.append(axis)
    return axes


def _factors(size: int, channels: bool) -> list[Factor]:
    return [Factor(size, channels)] if size > 1 else []


def _order(operation: str, detail: object, rank: int) -> list[int]:
    saved = detail if isinstance(detail, dict) else {}
    order = list(range(rank))
    if operation == "T":
        return order[::-1]
    if operation == "Permute" and "dims" in saved:
        return [axis % rank for axis in saved["dims"]]
    if operation == "Transpose" and "dim0" in saved:
        first, second = saved["dim0"] % rank, saved["dim1"] % rank
        order[first], order[second] = order[second], order[first]
    return order
