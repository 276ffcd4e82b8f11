"""Pairs of layers whose gradients are alike by construction of the graph, whatever the weights and the data.

The gradient of a sum is that of each of its terms, so layers whose outputs are added receive one gradient. Likewise,
the gradient of a last layer in front of a pooling is that of the head, spread over the positions.
"""

from __future__ import annotations

from collections.abc import Iterable

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, TensorKey

ADDED, POOLED = "added", "pooled"
PASSING = ops.TRANSPARENT | ops.NORMS | {"Neg"}
"""Operations that pass a gradient on, at most with other factors of channels."""
ACTIVATIONS = {
    "Relu", "LeakyRelu", "PreluKernel", "Silu", "Gelu", "Elu", "Celu", "Selu", "Hardswish", "Hardsigmoid", "Hardtanh",
    "Sigmoid", "LogSigmoid", "Tanh", "Softplus", "Mish", "Threshold", "ClampMin", "NativeDropout", "FusedDropout",
}  # fmt: skip
POOLINGS = {
    "Mean", "Sum", "Amax", "AvgPool1D", "AvgPool2D", "AvgPool3D", "AdaptiveAvgPool1D", "AdaptiveAvgPool2D",
    "AdaptiveAvgPool3D", "MaxPool2DWithIndices", "MaxPool3DWithIndices", "AdaptiveMaxPool2D", "AdaptiveMaxPool3D",
}  # fmt: skip


class Alike:
    """Why the gradients of two layers are alike by construction.

    Args:
        graph: the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._ends: dict[TensorKey, TensorKey] = {}
        self._heads: dict[TensorKey, int | None] = {}

    def reason(self, first: Iterable[TensorKey], second: Iterable[TensorKey]) -> str:
        """Return ``ADDED``, ``POOLED``, or an empty text if there is no reason.

        Args:
            first: outputs of a layer in all of its uses that the signal holds.
            second: those of another layer.
        """
        sides = set(first), set(second)
        if not all(sides):
            return ""
        ends = [{self._end(key) for key in side} for side in sides]
        if ends[0] == ends[1] and not sides[0] & sides[1]:
            return ADDED
        for side, other in (sides, sides[::-1]):
            heads = {self._head(key) for key in side}
            if None not in heads and heads == {key.node for key in other}:
                return POOLED
        return ""

    def _end(self, key: TensorKey) -> TensorKey:
        """Return the last tensor that has the gradient of this one: the sum that it is a term of, or itself."""
        if key not in self._ends:
            end = last = key
            while (edge := self._only_reader(last)) is not None and self._passes(edge):
                last = TensorKey(edge.consumer, 0)
                if self.graph.nodes[edge.consumer].operation in ops.ADDS:
                    end = last
            self._ends[key] = end
        return self._ends[key]

    def _passes(self, edge: Edge) -> bool:
        node = self.graph.nodes[edge.consumer]
        if node.operation in ops.ADDS:  # a smaller term is repeated, and its gradient summed up
            return self.graph.shape(TensorKey(edge.producer, edge.output)) == node.shapes[0]
        alone = len(self.graph.inputs[edge.consumer]) == 1
        return alone and node.operation in PASSING | ops.SCALINGS and not node.weighted

    def _head(self, key: TensorKey) -> int | None:
        """Return the last layer of the network, if only normalisation, activation and pooling are in front of it."""
        if key not in self._heads:
            pooled, last = False, key
            while (edge := self._only_reader(last)) is not None and self._leads(edge):
                pooled = pooled or self.graph.nodes[edge.consumer].operation in POOLINGS
                last = TensorKey(edge.consumer, 0)
            head = edge.consumer if pooled and edge is not None and self._is_last(edge.consumer) else None
            self._heads[key] = head
        return self._heads[key]

    def _leads(self, edge: Edge) -> bool:
        alone = len(self.graph.inputs[edge.consumer]) == 1
        operation = self.graph.nodes[edge.consumer].operation
        return self._passes(edge) or (alone and operation in ACTIVATIONS | POOLINGS)

    def _is_last(self, index: int) -> bool:
        """Return whether a node is a layer that no other layer follows."""
        if not self.graph.nodes[index].weighted:
            return False
        seen, ready = {index}, [index]
        for node in ready:
            new = {edge.consumer for edge in self.graph.readers.get(node, ())} - seen
            if any(self.graph.nodes[reader].weighted for reader in new):
                return False
            seen |= new
            ready += new
        return True

    def _only_reader(self, key: TensorKey) -> Edge | None:
        edges = self.graph.consumers.get(key, ())
        return edges[0] if len(edges) == 1 and edges[0].consumer else None
