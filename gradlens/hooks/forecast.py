"""The cost of weight space, computed from shapes before the first gradient."""

from __future__ import annotations

import math
from typing import NamedTuple

from gradlens.grams.weights import pairs_are_cheaper
from gradlens.graph.nodes import Node
from gradlens.graph.plan import Plan


class Forecast(NamedTuple):
    """Multiply-adds of one batch.

    Attributes:
        weights: for all Grams of per-sample weight gradients, each by the cheaper method.
        step: for the layers in a plain training step (the backward pass counts twice the forward pass).
    """

    weights: int
    step: int

    def __str__(self) -> str:
        """Return a sentence with the ratio."""
        ratio = self.weights / self.step if self.step else math.nan
        return (
            f"weight space takes about {self.weights:.2g} multiply-adds per batch, "
            f"{ratio:.2g} times those of a plain step"
        )


def forecast(plan: Plan, n: int) -> Forecast:
    """Return the multiply-adds that weight space adds to a batch of ``n`` samples."""
    weights = step = 0
    for probe in plan.weight_probes.values():
        if probe.inputs:
            continue
        node = plan.graph.nodes[probe.node]
        uses = [plan.graph.nodes[index] for index in probe.nodes]
        size = math.prod(node.weight)
        if not node.weighted or node.operation == "Embedding":
            read = sum(math.prod(use.shapes[0]) for use in uses)
            weights += read + n * n * math.prod(node.weight[-1:])
            continue
        positions = sum(map(_positions, uses)) // max(n, 1)
        direct = n * positions * size + n * n * size
        features = _features(node)
        pairs = (n * positions) ** 2 * features
        weights += pairs if pairs_are_cheaper(n, positions, features, size) else direct
        step += 3 * n * positions * size
    return Forecast(weights, step)


def _positions(node: Node) -> int:
    """Return the number of output positions in the whole batch."""
    shape = node.shapes[0]
    return shape[0] * math.prod(shape[2:]) if node.kernel else math.prod(shape[:-1])


def _features(node: Node) -> int:
    """Return the numbers read and written per position; a grouped convolution reads only one group."""
    if not node.kernel:
        return sum(node.weight)
    return math.prod(node.weight[1:]) + node.weight[0]
