"""The watched gradients of a graph, as plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from gradlens.graph.nodes import Graph, Slot, TensorKey
from gradlens.graph.owners import Owner
from gradlens.graph.probes import EdgeProbe, Probe, SeriesProbe, TensorProbe, WeightProbe
from gradlens.graph.sites import numbered
from gradlens.graph.stage_order import LOSS

_RECURRENT = re.compile(r"(?:^|\.)weight_((?:ih|hh|hr)(?:_l\d+(?:_reverse)?)?)(?:\.|$)")
"""A weight of a recurrent layer of torch."""


class Slice(NamedTuple):
    """The part of a layer's weight that reads one source.

    Attributes:
        probe: number of the probe of that part.
        layer: node that reads the weight.
        source: name of the tensor that the channels come from: a layer, a part of a split, or an operation after
            which they cannot be followed.
        order: rank of the source in forward order; for a part, the rank of the tensor that is cut.
        start: first input channel of the part.
        stop: one after its last input channel.
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
        name: module path, with ``@2`` for a module's second call; for the weights of recurrent layers ``rnn.hh_l0``.
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
        return self.probe.sampled


@dataclass(frozen=True)
class Group:
    """Gradients that belong together: the branches of a fork, the parts of a split, or a merge's inputs.

    Attributes:
        where: ``fork``, ``split`` or ``merge``.
        kind: ``residual``, ``parallel``, ``gate``, ``dense`` or ``other``.
        form: form of a partial split (``split``, ``slice`` or ``project``), empty for forks.
        site: name for tables.
        stage: stage of the source.
        labels: labels of the branches.
        members: by branch, the probes whose concatenated gradients are the branch's gradient.
        total: probe of the accumulated gradient, None at a merge.
        channels: by part, (start, stop, step) in the source, empty for forks.
        axis: channel axis of the source of a split.
        weighted: by branch, weighted layers on its longest path to the merge.
        merge: name of the operation where the branches meet.
        source: (node, output) of the tensor that forks or is cut.
        parts: (node, output) of each part of a split, empty for forks.
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
    parts: tuple[tuple[int, int], ...] = ()

    @property
    def source_key(self) -> TensorKey:
        """The tensor that forks or is cut."""
        return TensorKey(*self.source)

    @property
    def part_keys(self) -> list[TensorKey]:
        """The tensors that hold the parts of a split."""
        return [TensorKey(*part) for part in self.parts]


@dataclass(frozen=True)
class Plan:
    """Everything that is watched in one graph, as plain values.

    Attributes:
        probes: the watched gradients; other fields refer to them by number.
        signals: probes of the layers' signals, in weight space of their weights, in depth order.
        groups: branches and parts that belong together, in forward order.
        loss: probe of the loss signal, or None; of its first output if the loss reads several.
        graph: the graph.
        owners: owner of each node.
        stages: stage of each node.
        slices: parts of weights with the source that each reads, in weight space only.
        further_outputs: probes of the loss signal at the other outputs that the loss reads.
        no_loss: why there is no loss signal; empty if there is one.
        exits: inputs of operations by which the loss reads a recurrence before its last step.
    """

    probes: tuple[Probe, ...]
    signals: tuple[int, ...]
    groups: tuple[Group, ...]
    loss: int | None
    graph: Graph
    owners: tuple[Owner, ...]
    stages: tuple[str, ...]
    slices: tuple[Slice, ...] = ()
    further_outputs: tuple[int, ...] = ()
    no_loss: str = ""
    exits: tuple[Slot, ...] = ()

    @property
    def outputs(self) -> list[int]:
        """The probes of the loss signal, one per output that the loss reads; empty if there is none."""
        return [] if self.loss is None else [self.loss, *self.further_outputs]

    @cached_property
    def network_groups(self) -> dict[int, Group]:
        """The groups of the network by index; those whose source the loss computes are not of the network."""
        return {index: group for index, group in enumerate(self.groups) if group.stage != LOSS}

    @cached_property
    def signal_names(self) -> list[str]:
        """The names of the signals in tables, in depth order."""
        return numbered([self._signal_name(self.probes[number]) for number in self.signals], "{}@{}")

    def _signal_name(self, probe: Probe) -> str:
        """Return the path of a module; of a recurrent layer with its weight: ``cell.hh``, ``rnn.ih_l0``."""
        weights = {
            match[1] for root in self.graph.nodes[probe.node].roots if (match := _RECURRENT.search(root))
        }
        if len(weights) != 1:
            return probe.module or "(model)"
        return ".".join(filter(None, [probe.module, *weights]))

    def probe_of(self, part: Slice) -> Probe:
        """Return the probe that watches a part of a weight."""
        return self.probes[part.probe]

    def sampled(self, number: int) -> bool:
        """Return whether the gradient of a probe has an axis that holds the samples."""
        return self.probes[number].sampled

    def ordered(self, number: int) -> bool:
        """Return whether the gradient of a probe has an axis that holds the samples in order."""
        return self.probes[number].sampled and not self.probes[number].rows

    @cached_property
    def taps(self) -> dict[int, Slot | TensorKey]:
        """Where the gradient of each probe can be observed, by number; without the probes of weights."""
        return {
            number: probe.tap
            for number, probe in enumerate(self.probes)
            if isinstance(probe, (EdgeProbe, TensorProbe))
        }

    @cached_property
    def edge_probes(self) -> dict[Slot, int]:
        """Number of the probe of each watched contribution."""
        return {tap: number for number, tap in self.taps.items() if isinstance(tap, Slot)}

    @cached_property
    def tensor_probes(self) -> dict[TensorKey, int]:
        """Number of the probe of each watched accumulated gradient."""
        return {tap: number for number, tap in self.taps.items() if isinstance(tap, TensorKey)}

    @cached_property
    def series(self) -> dict[int, SeriesProbe]:
        """The probes of layers with an axis of steps, by number."""
        return {number: probe for number, probe in enumerate(self.probes) if isinstance(probe, SeriesProbe)}

    @cached_property
    def weight_probes(self) -> dict[int, WeightProbe]:
        """The probes of weights and of parts of weights, by number."""
        return {number: probe for number, probe in enumerate(self.probes) if isinstance(probe, WeightProbe)}

    @cached_property
    def weights(self) -> dict[int, list[int]]:
        """By node, the probes of its weight and of parts of it; a weight used by several nodes is listed at each."""
        by_node: dict[int, list[int]] = {}
        for number, probe in self.weight_probes.items():
            for node in probe.nodes:
                by_node.setdefault(node, []).append(number)
        return by_node
