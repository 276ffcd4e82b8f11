"""The positions of rows, read from the side of the input, where a network copies rows before it moves them.

A token that two experts read has two rows, and the loss reads both. Which of them an expert got says nothing about the
token's position in the sample; the row from which it was copied does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, TensorKey
from gradlens.graph.order import NOWHERE, UNKNOWN, Rows, Shapes, repeated


def aligned(shapes: Shapes, orders: Mapping[TensorKey, Rows]) -> dict[TensorKey, Rows]:
    """Return the orders with the positions that the input implies, where these are unique and of the same samples.

    Args:
        shapes: the graph, and the axes of the samples.
        orders: as the loss implies them (see ``order.row_orders``).
    """
    graph, copied = shapes.graph, dict[TensorKey, Rows]()
    changed = dict(orders)
    for index in graph.forward_order if orders else ():
        for edge in graph.inputs.get(index, ()):
            for key, rows in _passed(shapes, orders, copied, edge).items():
                copied.setdefault(key, rows)
                if _fits(rows, orders.get(key), shapes.n):
                    changed[key] = rows
    return changed


def _fits(rows: Rows, order: Rows | None, n: int) -> bool:
    if order is None or order == UNKNOWN or len(order) != len(rows) or repeated(rows):
        return False
    return all(NOWHERE in pair or (pair[0] - pair[1]) % n == 0 for pair in zip(rows, order, strict=True))


def _passed(
    shapes: Shapes, orders: Mapping[TensorKey, Rows], copied: Mapping[TensorKey, Rows], edge: Edge
) -> dict[TensorKey, Rows]:
    """Return the positions of the rows of a node's outputs, as one of its inputs implies them; empty if it does not."""
    graph, key, node = shapes.graph, TensorKey(edge.producer, edge.output), shapes.graph.nodes[edge.consumer]
    output, before, after = TensorKey(edge.consumer, 0), graph.shape(key), node.shapes[0]
    rows = copied.get(key)
    dim = node.detail.get("dim", 0)
    moves = isinstance(dim, int) and math.prod(before[: dim % max(len(before), 1)]) == 1
    if node.operation in {"Index", "IndexSelect"} and moves:
        known, chosen = rows or orders.get(key) or shapes.natural(key), node.detail.get("index")
        if known == UNKNOWN or not isinstance(chosen, list) or max(chosen, default=0) >= len(known):
            return {}
        return {output: tuple(known[row] for row in chosen)}
    if node.operation == "Expand" and len(after) > 1 and len(before) > 1 and after[1] > before[1] == 1:
        known = rows or orders.get(key) or shapes.natural(key)
        return {} if known == UNKNOWN else {output: tuple(row for row in known for _ in range(after[1]))}
    if rows is None or node.operation in ops.UNORDERED | {"Cat", "Stack"} | ops.AXIS_MOVES:
        return {}
    if node.operation in ops.SPLITS and moves and isinstance(dim, int):
        return _cut(rows, [shape[dim % len(shape)] for shape in node.shapes], edge.consumer)
    return {output: rows} if _leading(after, len(rows)) else {}


def _cut(rows: Rows, sizes: list[int], node: int) -> dict[TensorKey, Rows]:
    if sum(sizes) != len(rows):
        return {}
    starts = [sum(sizes[:part]) for part in range(len(sizes))]
    return {
        TensorKey(node, part): rows[start : start + size]
        for part, (start, size) in enumerate(zip(starts, sizes, strict=True))
    }


def _leading(shape: tuple[int, ...], size: int) -> bool:
    """Return whether the first axes of a tensor hold a number of rows."""
    return any(math.prod(shape[:axes]) == size for axes in range(1, len(shape) + 1))
