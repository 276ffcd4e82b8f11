"""The order of the samples in a tensor, where a network reorders, selects or drops them.

Sorting by length, routing tokens to experts, ``x[index]`` and ``index_add`` move rows. Autograd keeps the index, so the
sample of each row follows from the side of the loss, where the samples are in the order of the batch.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, Node, TensorKey

Rows = tuple[int, ...]
"""The position of each row: its sample, plus ``n`` for each earlier position of that sample.

``NOWHERE`` is a row that no gradient reaches.
"""
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

    def settled(self, key: TensorKey) -> bool:
        """Return whether nothing moves rows between the batch and a tensor whose first axis holds the samples."""

    def natural(self, key: TensorKey) -> Rows:
        """Return the positions of the rows of a tensor whose samples are in order, ``UNKNOWN`` if that is not known."""


def row_orders(shapes: Shapes) -> dict[TensorKey, Rows]:
    """Return, by tensor, the position of each row; tensors with the samples in order are left out."""
    graph = shapes.graph
    orders: dict[TensorKey, Rows] = {}
    if not any(
        node.operation in ops.REORDERING or _joins_samples(shapes, i) for i, node in enumerate(graph.nodes)
    ):
        return orders
    for index in reversed(graph.forward_order):
        for output in range(len(graph.nodes[index].shapes)):
            key = TensorKey(index, output)
            known = [_through(shapes, orders, edge) for edge in graph.consumers.get(key, ())]
            order = _merged([rows for rows in known if rows is not None], shapes, key, len(known))
            if order is not None and not (order == UNKNOWN and shapes.settled(key)):
                orders[key] = order
    return orders


def renumbered(rows: Sequence[int], n: int) -> Rows:
    """Return the rows with the positions of each sample counted anew, in the order of the rows."""
    count: dict[int, int] = defaultdict(int)
    positions = []
    for row in rows:
        sample = row % n
        positions.append(row if row == NOWHERE else sample + n * count[sample])
        count[sample] += row != NOWHERE
    return tuple(positions)


def _merged(orders: Sequence[Rows], shapes: Shapes, key: TensorKey, readers: int) -> Rows | None:
    """Return the order on which all readers agree; readers that keep the order say that it is that of the batch.

    If they disagree, the rows are the samples in order and the network mixes samples (messages along the edges of a
    graph, negatives from the same batch). If they agree on the samples alone, their rows are counted anew.
    """
    if not orders:
        return None
    natural = shapes.natural(key)
    orders = [*orders, natural] if len(orders) < readers else orders
    if UNKNOWN in orders or any(len(order) != len(orders[0]) for order in orders):
        return UNKNOWN
    rows, moved = list(orders[0]), False
    for order in orders[1:]:
        for row, position in enumerate(order):
            if rows[row] == NOWHERE:
                rows[row] = position
            elif position not in (NOWHERE, rows[row]):
                moved = True
                if (position - rows[row]) % shapes.n:
                    return None if len(natural) == len(rows) else UNKNOWN
    merged = renumbered(rows, shapes.n) if moved or repeated(rows) else tuple(rows)
    return None if merged == natural else merged


def repeated(rows: Sequence[int]) -> bool:
    """Return whether two rows have one position."""
    known = [row for row in rows if row != NOWHERE]
    return len(set(known)) < len(known)


def _through(shapes: Shapes, orders: Mapping[TensorKey, Rows], edge: Edge) -> Rows | None:
    """Return the order of a tensor's rows as one reader implies it; None for the order of the batch."""
    graph = shapes.graph
    node = graph.nodes[edge.consumer]
    outputs = [TensorKey(edge.consumer, output) for output in range(len(node.shapes))]
    after = next((orders[key] for key in outputs if key in orders), None)
    if after is None and _joins_samples(shapes, edge.consumer):
        after = tuple(range(shapes.n))
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
    axes = {shapes.axis(key), shapes.axis(outputs[0])}
    first = math.prod(shape[:dim]) == 1
    if after is None and dim not in axes:
        return None
    one_row = after is not None and after != UNKNOWN and len(after) == 1 and out[dim] > 1
    if one_row or not first:
        return after or UNKNOWN  # rows are counted along the first axis
    if node.operation in ops.SPLITS:
        return _parts(shapes, orders, outputs, dim) if after is not None else None
    if node.operation in ops.CUTTING:
        return _cut(node.detail, after, shape[dim], out[dim], shapes.n)
    return _moved(shapes, node.detail.get("index"), edge, after, shape[dim])


def _joins_samples(shapes: Shapes, index: int) -> bool:
    """Return whether a concatenation makes the samples in order of some of them each, as behind a packed sequence."""
    node = shapes.graph.nodes[index]
    if node.operation != "Cat" or not node.shapes[0] or node.shapes[0][0] != shapes.n:
        return False
    several = len(shapes.graph.inputs.get(index, ())) > 1
    return (
        several
        and node.detail.get("dim") in (0, -len(node.shapes[0]))
        and shapes.axis(TensorKey(index, 0)) == 0
    )


def _parts(shapes: Shapes, orders: Mapping[TensorKey, Rows], outputs: Sequence[TensorKey], dim: int) -> Rows:
    """Return the order of a tensor that is split along the rows."""
    rows: list[int] = []
    for key in outputs:
        size = shapes.graph.shape(key)[dim]
        unread = (NOWHERE,) * size
        part = orders.get(key) or (shapes.natural(key) if shapes.graph.consumers.get(key) else unread)
        if part == UNKNOWN or len(part) != size:
            return UNKNOWN
        rows += part
    return renumbered(rows, shapes.n) if repeated(rows) else tuple(rows)


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


def _cut(detail: Mapping[str, Any], after: Rows | None, size: int, kept: int, n: int) -> Rows | None:
    """Return the order of a tensor of which a run of rows is read."""
    if after is None and (kept != n or size == n):
        return None
    start = detail.get("start", 0)
    step = detail.get("step", 1)
    if not isinstance(start, int) or step != 1:
        return UNKNOWN
    start = start + size if start < 0 else start
    rows = [NOWHERE] * size
    rows[start : start + kept] = range(n) if after is None else after
    return tuple(rows) if len(rows) == size else UNKNOWN


def _moved(
    shapes: Shapes, index: int | list[int] | None, edge: Edge, after: Rows | None, size: int
) -> Rows | None:
    """Return the order of a tensor whose rows are read, or written, at an index."""
    if after == UNKNOWN or not isinstance(index, list):
        return UNKNOWN
    writes = shapes.graph.nodes[edge.consumer].operation in ops.WRITING
    if writes and edge.slot == 0:
        return after
    target = shapes.natural(TensorKey(edge.consumer, 0)) if after is None else after
    if writes:
        if target == UNKNOWN:
            return UNKNOWN
        rows = [target[row] if row < len(target) else NOWHERE for row in index]
        rows = _spread(rows, shapes.graph.nodes[edge.consumer], shapes.n)
        return renumbered(rows, shapes.n) if repeated(rows) else tuple(rows)
    key, n = TensorKey(edge.producer, edge.output), shapes.n
    if target == UNKNOWN or len(target) != len(index) or max(index, default=0) >= size:
        return UNKNOWN
    return _read(target, index, size, n, mixes=size == n and (after is not None or shapes.axis(key) == 0))


def _spread(rows: list[int], node: Node, n: int) -> list[int]:
    """Return the positions of rows that a mask writes to some columns of their samples."""
    columns = node.detail.get("column")
    if not isinstance(columns, list):
        return rows
    width = node.shapes[0][1]
    return [
        row if row == NOWHERE else row % n + n * (row // n * width + column)
        for row, column in zip(rows, columns, strict=True)
    ]


def _read(target: Rows, index: Sequence[int], size: int, n: int, mixes: bool) -> Rows | None:
    """Return the order of a tensor whose rows are read at an index, to the positions ``target``.

    A row that several samples read is in the order of the batch if the tensor ``mixes`` samples, otherwise unknown.
    """
    rows, moved = [NOWHERE] * size, False
    for position, row in zip(target, index, strict=True):
        if rows[row] not in (NOWHERE, position) and position != NOWHERE:
            moved = True
            if (rows[row] - position) % n:
                return None if mixes else UNKNOWN
        elif position != NOWHERE:
            rows[row] = position
    return renumbered(rows, n) if moved else tuple(rows)
