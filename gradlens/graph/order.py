"""The order of the samples in a tensor, where a network reorders, selects or drops them.

Sorting by length, routing tokens to experts, ``x[index]`` and ``index_add`` move rows. Autograd keeps the index, so the
sample of each row follows from the side of the loss, where the samples are in the order of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, TensorKey

Rows = tuple[int, ...]
"""The sample of each row; ``NOWHERE`` for a row that no gradient reaches."""
NOWHERE = -1
UNKNOWN: Rows = (-2,)
"""Rows whose samples cannot be told."""


class Shapes(Protocol):
    """Tells which axis of a tensor holds the samples."""

    @property
    def graph(self) -> Graph:
        """The graph."""

    @property
    def n(self) -> int:
        """Samples in the batch."""

    def axis(self, key: TensorKey) -> int | None:
        """Return the first axis that grows with the batch; None if there is none."""


def row_orders(shapes: Shapes) -> dict[int, Rows]:
    """Return, by node, the sample of each row of its output; nodes with the samples in order are left out."""
    graph = shapes.graph
    orders: dict[int, Rows] = {}
    if not any(node.operation in ops.REORDERING for node in graph.nodes):
        return orders
    for index in reversed(graph.forward_order):
        known = [_through(shapes, orders, edge) for edge in graph.readers.get(index, ())]
        order = _merged([rows for rows in known if rows is not None], shapes.n, len(known))
        if order is not None:
            orders[index] = order
    return orders


def _merged(orders: Sequence[Rows], n: int, readers: int) -> Rows | None:
    """Return the order on which all readers agree; readers that keep the order say that it is that of the batch.

    If they disagree, the rows are the samples in order and the network mixes samples (messages along the edges of a
    graph, negatives from the same batch).
    """
    if not orders:
        return None
    rows = list(orders[0])
    if len(orders) < readers and len(rows) == n:
        orders = [*orders, tuple(range(n))]
    elif len(orders) < readers or UNKNOWN in orders or any(len(order) != len(rows) for order in orders):
        return UNKNOWN
    for order in orders[1:]:
        for row, sample in enumerate(order):
            if rows[row] == NOWHERE:
                rows[row] = sample
            elif sample not in (NOWHERE, rows[row]):
                return None
    return None if rows == list(range(n)) else tuple(rows)


def _through(shapes: Shapes, orders: dict[int, Rows], edge: Edge) -> Rows | None:
    """Return the order of a tensor's rows as one reader implies it; None for the order of the batch."""
    graph, after = shapes.graph, orders.get(edge.consumer)
    node = graph.nodes[edge.consumer]
    if node.operation == "Cat" and after is not None:
        return _segment(graph, edge, after)
    if node.operation not in ops.REORDERING and node.operation not in ops.CUTTING:
        return after
    key = TensorKey(edge.producer, edge.output)
    shape, out = graph.shape(key), node.shapes[0]
    dim = node.detail.get("dim", 0)
    if not isinstance(dim, int) or not shape:
        return after
    dim %= len(shape)
    axes = {shapes.axis(key), shapes.axis(TensorKey(edge.consumer, 0))}
    if after is None and dim not in axes:
        return None
    if after is not None and dim:
        return after  # rows are counted along the first axis
    if node.operation in ops.CUTTING:
        return _cut(node.operation, node.detail, after, shape[dim], out[dim], shapes.n)
    return _moved(node.operation, node.detail.get("index"), edge, after, shape[dim], shapes.n)


def _segment(graph: Graph, edge: Edge, after: Rows) -> Rows:
    """Return the order of a tensor that is concatenated with others along the rows."""
    node = graph.nodes[edge.consumer]
    inputs = sorted(graph.inputs[edge.consumer], key=lambda entry: entry.slot)
    shape = node.shapes[0]
    if not shape or node.detail.get("dim", 0) % len(shape):
        return after
    sizes = [graph.shape(TensorKey(entry.producer, entry.output))[0] for entry in inputs]
    if after == UNKNOWN or sum(sizes) != len(after) or shape[0] != len(after):
        return UNKNOWN
    start = sum(sizes[: inputs.index(edge)])
    return after[start : start + sizes[inputs.index(edge)]]


def _cut(
    operation: str,
    detail: Mapping[str, Any],
    after: Rows | None,
    size: int,
    kept: int,
    n: int,
) -> Rows | None:
    """Return the order of a tensor of which a run of rows is read."""
    if after is None and (kept != n or size == n):
        return None
    if operation in ops.SPLITS:
        return UNKNOWN if after is not None else None
    start = detail.get("start", 0)
    step = detail.get("step", 1)
    if not isinstance(start, int) or step != 1:
        return UNKNOWN
    start = start + size if start < 0 else start
    rows = [NOWHERE] * size
    rows[start : start + kept] = range(n) if after is None else after
    return tuple(rows) if len(rows) == size else UNKNOWN


def _moved(
    operation: str, index: int | list[int] | None, edge: Edge, after: Rows | None, size: int, n: int
) -> Rows | None:
    """Return the order of a tensor whose rows are read, or written, at an index."""
    if after == UNKNOWN or not isinstance(index, list):
        return UNKNOWN
    target = after if after is not None else tuple(range(n))
    if operation in ops.WRITING:
        if edge.slot == 0:
            return after
        return tuple(target[row] if row < len(target) else NOWHERE for row in index)
    if after is None and len(index) != n:
        return UNKNOWN
    rows = [NOWHERE] * size
    for position, row in enumerate(index):
        if row >= size or position >= len(target):
            return UNKNOWN
        if rows[row] not in (NOWHERE, target[position]):
            return None if after is not None and size == n else UNKNOWN  # one row for several samples
        rows[row] = target[position]
    return tuple(rows)
