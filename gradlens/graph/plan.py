"""What is watched in a graph, as plain values: the description of a recording."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from gradlens.graph.nodes import Graph, TensorKey
from gradlens.graph.owners import Owner


@dataclass(frozen=True)
class Probe:
    """One gradient that is watched.

    Attributes:
        node: index of the node whose hook delivers it.
        position: output number where ``accumulated``, else input slot.
        accumulated: the sum that a producer sees, else one contribution.
        name: the site, ``stages.0:cat`` (module path, operation, ``#2`` for the second of its
            kind in that call, ``@1`` for the module's second call).
        module: path of the module call that owns the operation.
        stage: label of the stage.
        depth: weighted layers from the input.
        order: place in forward order.
        shape: of the gradient.
        outer: the gradient reads as ``[outer, n, rest]``; None where no axis holds the samples.
        weight: of the weight of ``node``, sample by sample; ``shape`` is ``[n, *weight]``.
        inputs: the input channels (start, stop) of that weight; empty for all.
        uses: (node, outer) of each use of a weight that is used several times; its gradient is their sum.
    """

    node: int
    position: int
    accumulated: bool
    name: str
    module: str
    stage: str
    depth: int
    order: int
    shape: tuple[int, ...]
    outer: int | None
    weight: bool = False
    inputs: tuple[int, ...] = ()
    uses: tuple[tuple[int, int | None], ...] = ()

    def elements(self, n: int) -> int:
        """Elements of a sample."""
        return math.prod(self.shape) // n


class Slice(NamedTuple):
    """The part of a layer's weight that reads one source.

    Attributes:
        probe: number of the probe of that part.
        layer: node that owns the weight.
        source: name of where the channels come from: a layer, a part of a split, or an operation behind
            which they cannot be followed.
        order: place of the source in forward order; of a part, that of the tensor that is cut.
        start: first input channel of the part.
        stop: behind its last.
    """

    probe: int
    layer: int
    source: str
    order: int
    start: int
    stop: int


@dataclass(frozen=True)
class Signal:
    """A signal of a plan: the probe that watches it, with the name that tables show.

    Attributes:
        number: of the probe.
        name: module path, with ``@2`` for a module's second call.
        probe: what is watched.
    """

    number: int
    name: str
    probe: Probe

    @property
    def stage(self) -> str:
        """Label of the stage."""
        return self.probe.stage

    @property
    def sampled(self) -> bool:
        """Whether an axis of the gradient holds the samples, so that it has a Gram."""
        return self.probe.outer is not None


@dataclass(frozen=True)
class Group:
    """Gradients that belong together: the branches of a fork, the parts of a split, or a merge's.

    Attributes:
        where: ``fork``, ``split`` or ``merge``.
        kind: ``residual``, ``parallel``, ``gate``, ``dense`` or ``other``.
        form: spelling of a partial split, empty for forks.
        site: name for tables.
        stage: of the source.
        labels: of the branches.
        members: per branch the probes whose gradients, side by side, are the branch's gradient.
        total: probe of the accumulated gradient, None at a merge.
        channels: per part (start, stop, step) in the source, empty for forks.
        axis: channel axis of the source of a split.
        weighted: per branch, weighted layers on its longest way to the merge.
        merge: name of the operation where the ways meet.
        source: (node, output) of the tensor that forks or is cut.
    """

    where: str
    kind: str
    form: str
    site: str
    stage: str
    labels: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    total: int | None
    channels: tuple[tuple[int, int, int], ...]
    axis: int
    weighted: tuple[int, ...]
    merge: str
    source: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """Everything watched in one graph, as plain values.

    ``signals``: probes of the layers' signals, or in weight space of their weights. ``slices``: parts
    of weights by what they read, in weight space only.
    """

    probes: tuple[Probe, ...]
    signals: tuple[int, ...]
    groups: tuple[Group, ...]
    loss: int | None
    graph: Graph
    owners: tuple[Owner, ...]
    stages: tuple[str, ...]
    slices: tuple[Slice, ...] = ()

    def part_keys(self, group: Group) -> list[TensorKey]:
        """The tensor of each part of a split, as its first probe sees it."""
        probes = [self.probes[member[0]] for member in group.members]
        return [TensorKey(probe.node, probe.position) for probe in probes]

    @property
    def weights(self) -> dict[int, list[int]]:
        """By node, the probes of its weight and of parts of it; a weight used by several nodes stands at each."""
        found: dict[int, list[int]] = {}
        for number, probe in enumerate(self.probes):
            if probe.weight:
                for node, _ in probe.uses or ((probe.node, probe.outer),):
                    found.setdefault(node, []).append(number)
        return found
