"""Gradient paths one by one: slow, and obviously right."""

from __future__ import annotations

from collections import Counter

from gradlens.graph.nodes import Graph, TensorKey


def paths(graph: Graph, end: int, source: TensorKey) -> int:
    """Ways of the gradient from the operation ``end`` back to the tensor ``source``, each walked."""
    found = 0
    ready = [end]
    while ready:
        node = ready.pop()
        for edge in graph.inputs.get(node, ()):
            if TensorKey(edge.producer, edge.output) == source:
                found += 1
            else:
                ready.append(edge.producer)
    return found


def lengths(graph: Graph, end: int, source: TensorKey) -> Counter[int]:
    """How many of these ways pass so many weighted layers, ``end`` not counted."""
    found: Counter[int] = Counter()
    ready = [(end, 0)]
    while ready:
        node, passed = ready.pop()
        for edge in graph.inputs.get(node, ()):
            if TensorKey(edge.producer, edge.output) == source:
                found[passed] += 1
            else:
                ready.append((edge.producer, passed + graph.nodes[edge.producer].weighted))
    return found
