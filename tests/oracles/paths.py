"""Slow reference for gradient paths: each path is walked."""

from __future__ import annotations

from collections import Counter

from gradlens.graph.nodes import Graph, TensorKey


def paths(graph: Graph, end: int, source: TensorKey) -> int:
    """Count the paths of the gradient from the operation ``end`` to the tensor ``source``."""
    count = 0
    ready = [end]
    while ready:
        node = ready.pop()
        for edge in graph.inputs.get(node, ()):
            if TensorKey(edge.producer, edge.output) == source:
                count += 1
            else:
                ready.append(edge.producer)
    return count


def lengths(graph: Graph, end: int, source: TensorKey) -> Counter[int]:
    """Count these paths by their number of weighted layers, without ``end``."""
    counts: Counter[int] = Counter()
    ready = [(end, 0)]
    while ready:
        node, passed = ready.pop()
        for edge in graph.inputs.get(node, ()):
            if TensorKey(edge.producer, edge.output) == source:
                counts[passed] += 1
            else:
                ready.append((edge.producer, passed + graph.nodes[edge.producer].weighted))
    return counts
