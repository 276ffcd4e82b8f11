"""Partial splits by two 1x1 convolutions of one tensor, whose outputs are concatenated later.

Other operations may read the tensor too: a shortcut around the block, a neck, a second block beside the first.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, TensorKey
from gradlens.graph.stages import RESIZES

Meet = Callable[[Sequence[int]], int]
"""Returns the first operation that every path from some operations to the loss passes through."""


class Projection(NamedTuple):
    """A 1x1 convolution and the part that it makes.

    Attributes:
        edge: along which the convolution, or the normalisation before it, reads the tensor.
        layer: the convolution.
        end: the part, after the normalisation and activation that follow the convolution.
    """

    edge: Edge
    layer: int
    end: TensorKey


def projected_pairs(graph: Graph, source: TensorKey, meet: Meet) -> Iterator[tuple[Projection, Projection]]:
    """Yield the pairs of 1x1 convolutions of a tensor whose outputs meet in a concatenation of their own.

    A pair is left out if another reader of the tensor reaches the same concatenation: then it is two of several,
    as in an Inception block.
    """
    edges = graph.consumers[source]
    projections = [made for made in (_projection(graph, edge, meet) for edge in edges) if made is not None]
    for first, second in itertools.combinations(projections, 2):
        merge = meet([first.layer, second.layer])
        others = [edge for edge in edges if edge not in (first.edge, second.edge)]
        if graph.nodes[merge].operation in ops.CONCATENATIONS and not _reaches(graph, others, merge):
            yield first, second


def _projection(graph: Graph, edge: Edge, meet: Meet) -> Projection | None:
    layer = _layer(graph, edge)
    return None if layer is None else Projection(edge, layer, _end(graph, layer, meet))


def _layer(graph: Graph, edge: Edge) -> int | None:
    """Return the 1x1 convolution that reads a tensor, possibly behind a normalisation and activation, or None.

    A linear layer of each position is one too.
    """
    node, before = edge.consumer, edge
    while not graph.nodes[node].weighted:
        readers = graph.readers.get(node, ())
        moves = graph.nodes[node].operation in ops.TRANSPARENT
        if len(readers) != 1 or not (moves or _elementwise(graph, before)):
            return None
        before, node = readers[0], readers[0].consumer
    described, read = graph.nodes[node], graph.shape(TensorKey(edge.producer, edge.output))
    if described.operation in ops.CONVOLUTIONS:
        return node if described.kernel and all(size == 1 for size in described.kernel) else None
    by_position = described.operation in ops.CHANNELS_LAST and math.prod(described.shapes[0][:-1]) > read[0]
    return node if by_position else None


def _end(graph: Graph, node: int, meet: Meet) -> TensorKey:
    """Return the tensor after the normalisation and activation that follow a convolution."""
    while True:
        readers = graph.readers.get(node, ())
        following = readers[0].consumer if len(readers) == 1 else _gated(graph, node, meet)
        if following is None or not readers:
            return TensorKey(node, 0)
        if len(readers) == 1 and not _elementwise(graph, readers[0]):
            return TensorKey(node, 0)
        node = following


def _gated(graph: Graph, node: int, meet: Meet) -> int | None:
    """Return the product that ends an activation written out, such as ``x * x.sigmoid()``; None for another fork."""
    readers = graph.readers.get(node, ())
    end = meet([edge.consumer for edge in readers]) if readers else 0
    if graph.nodes[end].operation not in ops.PRODUCTS:
        return None
    inside: set[int] = set()
    waiting = [edge.consumer for edge in readers if edge.consumer != end]
    while waiting:
        index = waiting.pop()
        shape, described = graph.nodes[node].shapes[0], graph.nodes[index]
        if described.weighted or described.shapes[0] != shape or described.operation.startswith(RESIZES):
            return None
        inside.add(index)
        waiting += [edge.consumer for edge in graph.readers.get(index, ()) if edge.consumer != end]
    return end if all(edge.producer in {node, *inside} for edge in graph.inputs[end]) else None


def _elementwise(graph: Graph, edge: Edge) -> bool:
    """Return whether the reader of an edge computes one value from each, such as a normalisation or an activation."""
    node = graph.nodes[edge.consumer]
    same = node.shapes[:1] == (graph.shape(TensorKey(edge.producer, edge.output)),)
    joins = node.operation in ops.CONCATENATIONS or len(graph.inputs.get(edge.consumer, ())) != 1
    return same and not joins and not node.weighted and not node.operation.startswith(RESIZES)


def _reaches(graph: Graph, edges: Iterable[Edge], target: int) -> bool:
    seen: set[int] = set()
    waiting = [edge.consumer for edge in edges]
    while waiting:
        node = waiting.pop()
        if node == target:
            return True
        if node not in seen:
            seen.add(node)
            waiting += [edge.consumer for edge in graph.readers.get(node, ())]
    return False
