"""The loss signal: where the loss reads the outputs of the network.

The loss is a function of the tensors that the network returns. The loss signal is its gradient in these tensors,
all of them side by side. A returned tensor counts if a path leads from it to the loss that meets no other returned
tensor, and only along such paths: what the loss reads through another output belongs to that output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, TensorKey


class Reading(NamedTuple):
    """A tensor that the loss reads, and the edges along which its gradient arrives from the loss.

    Attributes:
        key: the tensor.
        edges: all or some of the edges to its consumers.
    """

    key: TensorKey
    edges: tuple[Edge, ...]


def outputs_read(
    graph: Graph, returned: Iterable[TensorKey], has_samples: Callable[[TensorKey], bool] = lambda key: True
) -> list[Reading]:
    """Return the returned tensors that the loss reads, in forward order.

    A vector of losses without an axis of samples, which the step adds up, is no output. Without another one, the
    outputs of the last layers are used: those from which a path without another layer leads to the loss. It is empty
    if one of these layers precedes another, because no set of tensors then separates the loss from the network.

    Args:
        graph: the graph.
        returned: tensors that the calls of the model return, without scalars: a loss is no output.
        has_samples: tells whether an axis of a tensor holds the samples.
    """
    outputs = {key for key in returned if key in graph.consumers}
    readings = _reached(graph, outputs)
    losses = {
        reading.key for reading in readings if _is_added_up(graph, reading.key, has_samples(reading.key))
    }
    if losses:  # of the samples or of several kinds, which the step adds up
        before = [] if all(map(has_samples, losses)) else _last_layers(graph)
        readings = _reached(graph, outputs - losses) or before or readings
    return readings or _last_layers(graph)


def last_sampled(graph: Graph, output: TensorKey, has_samples: Callable[[TensorKey], bool]) -> list[Edge]:
    """Return the edges from an output without an axis of samples to the last tensors before it that have one.

    The heads of regions return a row per region, as many as each image has. Their gradient by image is the one that
    they pass to the features that the regions are read from; the loss signal is taken there.

    Args:
        graph: the graph.
        output: a tensor that the loss reads.
        has_samples: tells whether an axis of a tensor holds the samples.
    """
    edges: list[Edge] = []
    ready = [output.node]
    for node in ready:
        for edge in graph.inputs.get(node, ()):
            if has_samples(TensorKey(edge.producer, edge.output)):
                edges.append(edge)
            elif edge.producer not in ready:
                ready.append(edge.producer)
    return edges


def _reached(graph: Graph, outputs: set[TensorKey]) -> list[Reading]:
    """Return the outputs that a walk from the loss meets first."""
    edges: dict[TensorKey, list[Edge]] = {}
    seen, ready = {0}, [0]
    for node in ready:
        for edge in graph.inputs.get(node, ()):
            key = TensorKey(edge.producer, edge.output)
            if key in outputs:
                edges.setdefault(key, []).append(edge)
            elif edge.producer not in seen:
                seen.add(edge.producer)
                ready.append(edge.producer)
    ranks = {node: rank for rank, node in enumerate(graph.forward_order)}
    return [Reading(key, tuple(edges[key])) for key in sorted(edges, key=lambda key: (ranks[key.node], key))]


def _is_added_up(graph: Graph, key: TensorKey, sampled: bool) -> bool:
    """Return whether a tensor holds numbers that reach the loss only through sums and factors.

    Args:
        graph: the graph.
        key: the tensor.
        sampled: whether it holds one number per sample; losses of several kinds may also be taken out one by one.
    """
    sums = ops.SUMS if sampled else ops.SUMS | ops.CUTS | ops.SLICES
    if len(graph.shape(key)) != 1:
        return False
    ready = [edge.consumer for edge in graph.consumers[key]]
    for node in ready:
        operation, inputs = graph.nodes[node].operation, graph.inputs.get(node, ())
        scaled = operation in ops.SCALINGS and len(inputs) == 1
        if not (scaled or operation in sums):
            return False
        ready += [edge.consumer for edge in graph.readers.get(node, ())]
    return True


def _last_layers(graph: Graph) -> list[Reading]:
    layers = {TensorKey(index, 0) for index, node in enumerate(graph.nodes) if node.weighted}
    readings = _reached(graph, layers & set(graph.consumers))
    partial = any(len(reading.edges) < len(graph.consumers[reading.key]) for reading in readings)
    return [] if partial or _related(graph, [reading.key.node for reading in readings]) else readings


def _related(graph: Graph, layers: Sequence[int]) -> bool:
    """Return whether one of the layers is computed from another."""
    last = set(layers)
    ready = [edge.producer for layer in layers for edge in graph.inputs.get(layer, ())]
    seen = set(ready)
    for node in ready:
        if node in last:
            return True
        new = {edge.producer for edge in graph.inputs.get(node, ())} - seen
        seen |= new
        ready += new
    return False
