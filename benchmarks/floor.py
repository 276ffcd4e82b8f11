"""The least time for what is watched in a step, at the rates that this machine reaches.

The floor is the larger of two times: reading every watched gradient once from memory, and the multiply-adds: ``n² d``
for the Gram of a gradient ``[n, d]``, and in the space of weights those of the gradient of each sample.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from benchmarks.measuring import seconds
from gradlens.graph.plan import Plan

BYTES = 1 << 28
"""Size of the array that is read to measure the bandwidth of the memory."""
SIDE = 1024
"""Side of the matrices whose product measures the rate of multiply-adds."""
REPEATS = 5


class Rates(NamedTuple):
    """What this machine reaches with the threads of PyTorch.

    Attributes:
        bandwidth: bytes read per second.
        products: multiply-adds per second in float32.
    """

    bandwidth: float
    products: float


def rates(size: int = BYTES, side: int = SIDE) -> Rates:
    """Return the rates of this machine, the best of some runs."""
    values, square = torch.ones(size // 4), torch.ones(side, side)
    read = min(seconds(values.sum).wall for _ in range(REPEATS))
    product = min(seconds(lambda: square @ square).wall for _ in range(REPEATS))
    return Rates(size / read, side**3 / product)


class Work(NamedTuple):
    """The least work for one step.

    Attributes:
        gradients: number of watched gradients.
        bytes: size of all that is read, each tensor once.
        products: multiply-adds.
    """

    gradients: int
    bytes: int
    products: int

    def floor(self, machine: Rates) -> float:
        """Return the least seconds: the larger one of reading and multiplying."""
        return max(self.bytes / machine.bandwidth, self.products / machine.products)


def work_of(plan: Plan, n: int) -> Work:
    """Return the least work for a plan; gradients are float32.

    The gradients of weights are computed anew for each sample, which takes the multiply-adds of the backward pass of
    the layer; what the layer has read is in memory, so that its output gradient is counted twice.
    """
    elements = [math.prod(plan.probes[number].shape) for number in plan.taps]
    layers = [plan.graph.nodes[node] for node in plan.weights]
    outputs = [math.prod(layer.shapes[0]) for layer in layers]
    weights = 0
    for output, layer in zip(outputs, layers, strict=True):
        channels = layer.shapes[0][
            1
        ]  # also of a linear layer, which has one position per sample in these networks
        weights += (output // channels + n**2) * math.prod(layer.weight)
    return Work(
        len(elements) + len(layers),
        4 * (sum(elements) + 2 * sum(outputs)),
        n * sum(elements) + weights,
    )
