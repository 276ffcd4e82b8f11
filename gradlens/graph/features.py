"""What the shapes of a graph say about its layers: strides, regions, outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gradlens.graph.nodes import Graph
from gradlens.graph.owners import OUTSIDE, Owner

REGIONS = ("roialign", "roipool")


@dataclass(frozen=True)
class Features:
    """What the shapes of a graph say.

    Attributes:
        graph: the graph.
        owners: owner of each node.
        counts: by node, the positions per sample of a layer or a resizing; 0 for other nodes.
        strides: by node, its output stride; None where ``counts`` is 0.
        pooled: by node, whether its value is pooled.
    """

    graph: Graph
    owners: Sequence[Owner]
    counts: Sequence[int]
    strides: Sequence[int | None]
    pooled: Sequence[bool]

    @cached_property
    def nominal(self) -> dict[int, int]:
        """The output stride of each number of positions.

        A map of half the side has twice the stride, also where the sides are too small for a stride to be rounded.
        """
        known: dict[int, int] = {}
        pairs = {(count, stride) for count, stride in zip(self.counts, self.strides, strict=True) if stride}
        for count, stride in sorted(pairs, reverse=True):
            coarser = [known[other] for other in known if other >= 2 * count]
            known[count] = max(stride, 2 * max(coarser, default=0))
        return known

    @cached_property
    def regions(self) -> list[bool]:
        """By node, whether it is behind a pooling of regions."""
        behind = [False] * len(self.graph.nodes)
        for index in self.graph.forward_order:
            operation = self.graph.nodes[index].operation.lower().replace("_", "")
            inputs = self.graph.inputs.get(index, ())
            behind[index] = any(name in operation for name in REGIONS) or any(
                behind[edge.producer] for edge in inputs
            )
        return behind

    @cached_property
    def layers(self) -> list[int]:
        """The weighted layers of the model in forward order, without a product by a constant in its loss."""
        nodes, owners = self.graph.nodes, self.owners
        layers = [i for i in self.graph.forward_order if nodes[i].weighted and owners[i] != OUTSIDE]
        return [i for i in layers if nodes[i].roots or owners[i].module]

    @cached_property
    def ahead(self) -> list[int]:
        """By node, the weighted layers on the longest path to the loss, with the node itself."""
        depth, layers = [0] * len(self.graph.nodes), set(self.layers)
        for index in reversed(self.graph.forward_order):
            readers = self.graph.readers.get(index, ())
            depth[index] = max((depth[edge.consumer] for edge in readers), default=0) + (index in layers)
        return depth

    @cached_property
    def outputs(self) -> dict[int, int]:
        """The output stride of each last layer with positions."""
        return {
            i: self.nominal[self.counts[i]]
            for i in self.layers
            if self.ahead[i] == 1 and self.counts[i] and not self.pooled[i] and not self.regions[i]
        }
