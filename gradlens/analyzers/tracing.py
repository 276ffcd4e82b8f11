"""The paths of the gradient to every weighted layer, from the graph alone; inputs of the tables of paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gradlens.analyzers.remembering import cached_by_recording
from gradlens.analyzers.signals import WHOLE
from gradlens.graph.nodes import Graph
from gradlens.graph.sources import Segment, combinations, sources
from gradlens.metrics import Step, path_counts, reuse
from gradlens.recording import Recording


@dataclass(frozen=True)
class Traced:
    """Paths and sources of every weighted layer.

    Attributes:
        layers: nodes in forward order.
        counts: by layer, the number of paths; entry k counts paths of k + 1 weighted layers.
        segments: by layer, runs of output channels with one combination of sources.
        sources: by layer, the layers that pass their gradient to the layer through operations without weights.
        reuse: by layer, the number of layers that it passes its gradient to.
    """

    layers: Sequence[int]
    counts: Sequence[Sequence[int]]
    segments: Mapping[int, Sequence[Segment]]
    sources: Mapping[int, frozenset[int]]
    reuse: Mapping[int, int]

    def by_stage(self, recording: Recording) -> dict[str, Sequence[int]]:
        """Return the layers of each stage in forward order, and of the whole network."""
        stages = recording.plan.stages
        names = dict.fromkeys(stages[layer] for layer in self.layers)
        by_stage = {stage: [layer for layer in self.layers if stages[layer] == stage] for stage in names}
        return {**by_stage, WHOLE: self.layers}


@cached_by_recording
def traced(recording: Recording) -> Traced:
    """Return the paths and sources of every weighted layer."""
    graph, layers = recording.plan.graph, weighted_layers(recording)
    by_layer = combinations(graph)
    segments = {layer: by_layer.get(layer, []) for layer in layers}
    origins = {layer: sources(parts) for layer, parts in segments.items()}
    counts = path_counts(len(graph.nodes), list(steps_of(graph)), [node.weighted for node in graph.nodes])
    return Traced(layers, counts, segments, origins, reuse(origins))


def weighted_layers(recording: Recording) -> list[int]:
    """Return the nodes of the weighted layers in forward order."""
    graph = recording.plan.graph
    return [index for index in graph.forward_order if graph.nodes[index].weighted]


def steps_of(graph: Graph) -> Iterator[Step]:
    """Yield the steps of the gradient, starting at the loss."""
    for index in reversed(graph.forward_order):
        for edge in graph.inputs.get(index, ()):
            yield Step(edge.consumer, edge.producer)


def shortest(counts: Sequence[int]) -> int:
    """Return the length of the shortest path in weighted layers; 0 if there is none."""
    return next((length + 1 for length, count in enumerate(counts) if count), 0)
