"""Probes: the watched gradients as plain values.

A probe watches the contribution along one edge, the accumulated gradient of one tensor, the per-sample gradient of one
weight, or the gradients at all steps of a recurrence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from gradlens.graph.nodes import Slot, TensorKey


@dataclass(frozen=True)
class Probe:
    """A watched gradient.

    Attributes:
        node: index of the node at which it is observed.
        name: the site, ``stages.0:cat`` (module path, operation, ``#2`` for the second of its
            kind in that call, ``@1`` for the module's second call).
        module: path of the module call that owns the operation.
        stage: label of the stage.
        depth: weighted layers from the input.
        order: rank in forward order.
        shape: shape of the gradient; ``[n, *weight]`` for a weight.
        outer: the gradient reads as ``[outer, n, rest]``; None if no axis holds the samples.
        rows: the position of each row, if they are not the samples in order (see ``graph.layout.Layout``).
    """

    node: int
    name: str
    module: str
    stage: str
    depth: int
    order: int
    shape: tuple[int, ...]
    outer: int | None
    rows: tuple[int, ...] = field(default=(), kw_only=True)

    def same_site(self, other: Probe, *, any_size: bool = False) -> bool:
        """Whether both watch the same gradient.

        The rows that a network sends to a layer may differ by batch, as may a gradient whose axes hold no samples, such
        as one of all boxes of a batch. ``any_size`` allows images of different sizes too.
        """
        either, another = (replace(probe, rows=(), shape=(), outer=None) for probe in (self, other))
        rows = bool(self.rows or other.rows)
        sized = any_size or not self.sampled or (self.shape == other.shape and self.outer == other.outer)
        return either == another and (rows or (self.sampled == other.sampled and sized))

    @property
    def nodes(self) -> list[int]:
        """The nodes at which it is observed."""
        return [self.node]

    @property
    def sampled(self) -> bool:
        """Whether an axis of the gradient holds the samples, so that it has a Gram."""
        return self.outer is not None

    def elements(self, n: int) -> int:
        """Return the number of elements per sample in a batch of ``n``."""
        return math.prod(self.shape) // n


@dataclass(frozen=True)
class EdgeProbe(Probe):
    """The contribution along one edge, before accumulation.

    Attributes:
        slot: input of ``node`` along which the contribution leaves.
    """

    slot: int

    @property
    def tap(self) -> Slot:
        """Where the gradient can be observed."""
        return Slot(self.node, self.slot)


@dataclass(frozen=True)
class TensorProbe(Probe):
    """The accumulated gradient of one tensor.

    Attributes:
        output: output of ``node`` that is the tensor.
    """

    output: int

    @property
    def tap(self) -> TensorKey:
        """Where the gradient can be observed."""
        return TensorKey(self.node, self.output)


@dataclass(frozen=True)
class WeightProbe(Probe):
    """The gradient of a weight, or of the part that reads some input channels, sample by sample.

    Attributes:
        inputs: input channels (start, stop) of the part; empty for the whole weight.
        uses: (node, outer) of each use if the weight is used several times; its gradient is their sum.
    """

    inputs: tuple[int, ...] = ()
    uses: tuple[tuple[int, int | None], ...] = ()

    @property
    def nodes(self) -> list[int]:
        """The nodes that use the weight."""
        return [node for node, _ in self.uses] or [self.node]


@dataclass(frozen=True)
class SeriesProbe(Probe):
    """The gradients of a layer at all steps of a recurrence, side by side: one gradient with an axis of steps.

    Its Gram is the sum of those of the steps.

    Attributes:
        steps: numbers of the probes of the steps, in order.
        uses: nodes of the steps.
        first: number of the first step.
        carried: whether the recurrence carries the gradient from step to step (see ``graph.recurrences.Series``).
        loop: number of the recurrence; the layers of one cell have the same.
    """

    steps: tuple[int, ...] = ()
    uses: tuple[int, ...] = ()
    first: int = 1
    carried: bool = False
    loop: int = 0

    @property
    def last(self) -> int:
        """Number of the last step."""
        return self.first + len(self.uses) - 1

    @property
    def nodes(self) -> list[int]:
        """The nodes of the steps."""
        return list(self.uses)
