"""The neck of a detector: where its features turn from coarser to finer and back."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from gradlens.graph import ops
from gradlens.graph.features import Features
from gradlens.graph.nodes import Graph

REPEATS = {"Expand", "Repeat", "RepeatInterleave"}


class Neck:
    """Where the features of a detector turn from finer to coarser and back.

    Args:
        features: what the shapes of the graph say.
        heads: the layers of the heads.

    Attributes:
        ranks: rank of each node in forward order.
    """

    def __init__(self, features: Features, heads: Mapping[int, int]) -> None:
        self._features = features
        graph = features.graph
        self.ranks = {index: rank for rank, index in enumerate(graph.forward_order)}
        size = len(graph.nodes)
        self._stride: list[int] = [0] * size
        self._before: list[int] = [0] * size
        for index in graph.forward_order:
            inputs = [edge.producer for edge in graph.inputs.get(index, ())]
            sources = [self._stride[i] for i in inputs if self._stride[i] and not features.pooled[i]]
            carried = [self._stride[i] for i in inputs if self._stride[i]]
            self._before[index] = min(sources, default=0)
            count = 0 if features.regions[index] else features.counts[index] or _expanded(graph, index)
            self._stride[index] = features.nominal.get(count, min(carried, default=0))
        self._turns = self._turned(frozenset())
        self._inside = self._members(heads)
        self._turns = self._turned(self._inside)

    def resized(self, index: int) -> bool:
        """Return whether an operation without a weight changes the number of positions."""
        return self._before[index] not in (0, self._stride[index])

    def label(self, index: int) -> str:
        """Return the stage of a layer of the backbone or the neck."""
        stride, turns = self._stride[index], self._turns[index]
        if index not in self._inside and not turns:
            return str(stride) if stride else "head"
        return f"neck {stride} {'top-down' if turns % 2 else 'bottom-up'}"

    def _turned(self, inside: Collection[int]) -> list[int]:
        """Return, by node, how often features have turned from coarser to finer (1, 3, ...) and back (2, 4, ...)."""
        turns = [0] * len(self._features.graph.nodes)
        for index in self._features.graph.forward_order:
            inputs = self._features.graph.inputs.get(index, ())
            turn = max([turns[edge.producer] for edge in inputs] + [int(index in inside)])
            before, stride = self._before[index], self._stride[index]
            enlarged = self._features.graph.nodes[index].operation.startswith("Upsample") and before == stride
            finer, coarser = before > stride > 0 or enlarged, 0 < before < stride
            turns[index] = turn + ((finer and turn % 2 == 0) or (coarser and turn % 2 == 1))
        return turns

    def _members(self, heads: Mapping[int, int]) -> frozenset[int]:
        """Return the layers of the neck: behind an upsampling, in a module with such layers, or a lateral."""
        owners, layers = self._features.owners, self._features.layers
        own = [i for i in layers if i not in heads and not self._features.regions[i]]
        behind = {i for i in self._features.graph.forward_order if self._turns[i] and i not in heads}
        if not behind:
            return frozenset()
        backbone = set(_ancestors(owners[layers[0]].module))
        modules = {
            path for i in own if i in behind for path in _ancestors(owners[i].module) if path not in backbone
        }
        inside = {i for i in own if i in behind or modules & set(_ancestors(owners[i].module))}
        return frozenset(inside | self._laterals(set(own) - inside))

    def _laterals(self, rest: Collection[int]) -> set[int]:
        """Return the layers from which no path of the backbone leads to a coarser layer."""
        graph = self._features.graph
        coarsest = [0] * len(graph.nodes)
        for index in reversed(graph.forward_order):
            if not self._turns[index]:
                readers = [edge.consumer for edge in graph.readers.get(index, ())]
                own = self._stride[index] if index in rest else 0
                coarsest[index] = max([own, *(coarsest[reader] for reader in readers)])
        end = max((self._stride[i] for i in rest), default=0)
        return {i for i in rest if coarsest[i] == self._stride[i] < end}


def _expanded(graph: Graph, index: int) -> int:
    """Return the positions of a map that is enlarged by repeating its entries and reshaping; else 0."""
    node, reader = graph.nodes[index], index
    if node.operation not in ops.VIEWS or len(node.shapes[0]) != 4:
        return 0
    for _ in range(3):
        inputs = graph.inputs.get(reader, ())
        if len(inputs) != 1:
            return 0
        reader = inputs[0].producer
        if graph.nodes[reader].operation in REPEATS:
            return math.prod(node.shapes[0][2:])
        if graph.nodes[reader].operation not in ops.COPIES:
            return 0
    return 0


def _ancestors(module: str) -> list[str]:
    """Return the paths of a module and of those that hold it, without the model itself."""
    names = module.split(".") if module else []
    return [".".join(names[: end + 1]) for end in range(len(names))]
