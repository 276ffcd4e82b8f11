"""The position of the samples in a tensor: axis 0 is not always the batch.

Window attention folds windows into axis 0, sequence-first layers put time there. Two graphs of one
computation at different batch sizes show which axes grow with the batch.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from gradlens.graph import ops
from gradlens.graph.aligning import aligned
from gradlens.graph.nodes import Edge, Graph, Node, Shape, TensorKey
from gradlens.graph.order import NOWHERE, UNKNOWN, Rows, row_orders

REACH = 400
"""Largest number of neighbouring tensors that are searched for the layout of one."""


class Layout(NamedTuple):
    """A tensor reads as ``[outer, n, rest]``; ``outer`` is 1 if samples come first.

    Attributes:
        outer: size of the axes that vary slower than the samples.
        rows: the position of each row, if they are not the samples in order: its sample, plus ``n`` for each earlier
            position of that sample, of which there are ``outer``; a row at -1 has no gradient.
    """

    outer: int
    rows: Rows = ()


BATCH_FIRST = Layout(1)


@dataclass(frozen=True)
class Sizes:
    """Shapes of one computation at two batch sizes.

    Attributes:
        graph: at the batch size of the capture.
        n: samples in that batch.
        dry: the graph at another batch size, or None if only one was run.
        m: samples of that other batch; 0 if there is none.
        moved: nodes that read, or may read, samples whose rows were moved outside the graph; None if unknown.
        stacked: by node that reads several rows of each sample from outside the graph, the number of positions that
            vary slower than the samples.
    """

    graph: Graph
    n: int
    dry: Graph | None
    m: int
    moved: frozenset[int] | None = None
    stacked: Mapping[int, int] = field(default_factory=dict)

    def pairs(self, key: TensorKey) -> list[tuple[int, int]]:
        """Return (size, size in the dry pass) of each axis."""
        shape = self.graph.shape(key)
        small = self.dry.shape(key) if self.dry is not None else shape
        return list(zip(shape, small, strict=True)) if len(shape) == len(small) else []

    @cached_property
    def orders(self) -> dict[TensorKey, Rows]:
        """The position of each row of a tensor, where the samples are not in order."""
        return aligned(self, row_orders(self))

    def seen(self, key: TensorKey) -> Layout | None:
        """Return the layout that the axes of a tensor, or what its operation reads outside the graph, determine."""
        outer = 0 if self.graph.nodes[key.node].operation in ops.UNORDERED else self.stacked.get(key.node, 0)
        return _from_axes(self, key) or (Layout(outer) if outer else None)

    @cached_property
    def _unsettled(self) -> set[int]:
        """The nodes behind an operation that may move rows."""
        unsettled: set[int] = set()
        for index in self.graph.forward_order:
            inputs = self.graph.inputs.get(index, ())
            if index in (self.moved or ()) or any(
                edge.producer in unsettled or self._moves(edge) for edge in inputs
            ):
                unsettled.add(index)
        return unsettled

    def _moves(self, edge: Edge) -> bool:
        node = self.graph.nodes[edge.consumer]
        if node.operation not in ops.UNORDERED:
            return False
        key, dim = TensorKey(edge.producer, edge.output), node.detail.get("dim", 0)
        axis, size = self.axis(key), len(self.graph.shape(key))
        return axis is None or not isinstance(dim, int) or not size or dim % size == axis

    def settled(self, key: TensorKey) -> bool:
        """Return whether nothing moves rows between the batch and a tensor whose first axis holds the samples."""
        known = self.moved is not None and _from_axes(self, key) == BATCH_FIRST
        return known and key.node not in self._unsettled

    def natural(self, key: TensorKey) -> Rows:
        """Return the positions of the rows of a tensor whose samples are in order, ``UNKNOWN`` if that is not known."""
        size = next((size for size in self.graph.shape(key) if size > 1), 1)
        if size == self.n:
            return tuple(range(self.n))
        known = None if size % self.n else _from_axes(self, key) or _from_neighbours(self, key)
        if known is None or size % (known.outer * self.n):
            return UNKNOWN
        inner = size // (known.outer * self.n)
        outer = [divmod(row, self.n * inner) for row in range(size)]
        return tuple((o * inner + row % inner) * self.n + row // inner for o, row in outer)

    def axis(self, key: TensorKey) -> int | None:
        """Return the first axis that grows with the batch; None if there is none."""
        return next((axis for axis, pair in enumerate(self.pairs(key)) if self.factor(pair)), None)

    def factor(self, pair: tuple[int, int]) -> int:
        """Return the positions per sample along this axis; 0 if it does not grow with n."""
        size, small = pair
        if size % self.n or not self.n:
            return 0
        k = size // self.n
        return k if self.dry is None or small == self.m * k else 0


def layout(sizes: Sizes, key: TensorKey) -> Layout | None:
    """Return the layout of a tensor, or None if its samples cannot be located."""
    if 0 in sizes.graph.shape(key):
        return BATCH_FIRST  # no token reached this expert: a gradient of zero
    order = sizes.orders.get(key)
    if order is not None:
        return _ordered(order, sizes, key)
    direct = _from_axes(sizes, key)
    if direct is not None:
        return direct
    pairs = sizes.pairs(key)
    grown = [axis for axis, pair in enumerate(pairs) if sizes.factor(pair)]
    if not grown or (grown[0] and sizes.dry is None):
        return None
    return _from_neighbours(sizes, key, whole=grown[0] > 0)


def _ordered(order: Rows, sizes: Sizes, key: TensorKey) -> Layout | None:
    """Return the layout of a tensor whose rows are not the samples in order."""
    size, n = next((size for size in sizes.graph.shape(key) if size > 1), 1), sizes.n
    if order == UNKNOWN or not order or size % len(order):
        return None
    outer = 1 + max(order) // n
    if order == tuple(range(n * outer)):
        return Layout(outer)
    known = [position for position in order if position != NOWHERE]
    return Layout(max(outer, 1), order) if len(set(known)) == len(known) else None


def _from_axes(sizes: Sizes, key: TensorKey) -> Layout | None:
    """Return the layout if the axes of the tensor itself determine it, else None."""
    factors = [sizes.factor(pair) for pair in sizes.pairs(key)]
    shape = sizes.graph.shape(key)
    if sizes.dry is None and len(shape) == 3 and shape[0] == shape[1] == sizes.n:
        return None  # [T, N, C] with T = N, or [N, T, C]: one batch size cannot decide
    if factors and factors[0] == 1:
        return BATCH_FIRST
    grown = [axis for axis, factor in enumerate(factors) if factor]
    if sizes.dry is not None and grown and grown[0] > 0 and factors[grown[0]] == 1:
        return Layout(math.prod(shape[: grown[0]]))
    return None


def _from_neighbours(sizes: Sizes, key: TensorKey, whole: bool = False) -> Layout | None:
    """Return the layout of the nearest tensor with the same order of rows, for samples folded into axis 0.

    Samples folded into another axis, as in ``[1, n · l, c]`` of an einsum, need the ``whole`` order: only tensors
    that are the same up to reshaping are read.
    """
    size, stacked = math.prod(sizes.graph.shape(key)), sizes.seen(key)
    if stacked is not None and not whole and sizes.graph.shape(key)[0] % (stacked.outer * sizes.n) == 0:
        return stacked
    seen = {key}
    queue = deque([key])
    while queue and len(seen) < REACH:
        current = queue.popleft()
        for other in _same_order(sizes.graph, current, whole):
            if other in seen or (whole and math.prod(sizes.graph.shape(other)) != size):
                continue
            seen.add(other)
            near = sizes.seen(other)
            rows = size if whole else sizes.graph.shape(key)[0]
            if near is not None and rows % (near.outer * sizes.n) == 0:
                return near
            queue.append(other)
    return None


def _same_order(graph: Graph, key: TensorKey, whole: bool) -> Iterable[TensorKey]:
    """Yield the tensors, one operation away, that hold the same rows, or the ``whole``, in the same order."""
    for edge in graph.consumers.get(key, ()):
        other = TensorKey(edge.consumer, 0)
        if _reshapes(graph, edge.consumer) or (
            not whole and _keeps_rows(graph, edge.consumer, graph.shape(key))
        ):
            yield other
    for edge in graph.inputs.get(key.node, ()):
        other = TensorKey(edge.producer, edge.output)
        if _reshapes(graph, key.node) or (not whole and _keeps_rows(graph, key.node, graph.shape(other))):
            yield other


def _reshapes(graph: Graph, index: int) -> bool:
    return graph.nodes[index].operation in ops.RESHAPES | ops.COPIES


def _keeps_rows(graph: Graph, index: int, read: Shape) -> bool:
    """Return whether an operation that reads this shape keeps the order of the slowest axes."""
    node = graph.nodes[index]
    if node.operation in ops.RESHAPES | ops.COPIES:
        return True
    if node.operation == "Permute":
        dims: Sequence[int] = node.detail.get("dims", [1])
        return dims[0] % len(read) == 0
    if node.operation == "Transpose":
        moved = {node.detail.get("dim0", 0) % len(read), node.detail.get("dim1", 0) % len(read)}
        return 0 not in moved
    if node.operation in ops.AXIS_MOVES | {"Cat", "Stack"}:
        return False
    if node.operation in ops.REORDERING and (
        node.operation not in ops.WRITING and node.detail.get("dim", 0) in (0, -len(read))
    ):
        return False
    shape = node.shapes[0]  # a reduction over axis 0 may leave another axis of the same size first
    axes = len(shape) == len(read) or _reduces_later_axes(node, read)
    return bool(read) and bool(shape) and axes and shape[0] == read[0]


def _reduces_later_axes(node: Node, read: Shape) -> bool:
    dims = node.detail.get("dim") if node.operation in {"Sum", "Mean"} and read else None
    return isinstance(dims, list) and all(dim % len(read) for dim in dims)
