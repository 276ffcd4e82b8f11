"""The graph of the network map: without operations that only rename their input, with energy on its edges."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gradlens.analyzers.energies import energies_by_seed
from gradlens.analyzers.replicates import mean_known
from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Slot, TensorKey
from gradlens.graph.plan import Group
from gradlens.metrics import energy_shares
from gradlens.recording import Recording

UNKNOWN = (float("nan"), False)
"""Energy of an edge that was not measured and cannot be derived from others."""


class Drawn:
    """The graph without the operations that only rename their input."""

    def __init__(self, recording: Recording) -> None:
        self.recording, self.plan, self.graph = recording, recording.plan, recording.plan.graph
        self._energies: dict[Edge, tuple[float, bool]] = {}

    @cached_property
    def visible(self) -> list[int]:
        """Operations that are drawn, in forward order."""
        nodes = self.graph.nodes
        return [i for i in self.graph.forward_order if nodes[i].operation not in ops.TRANSPARENT]

    @cached_property
    def edges(self) -> list[Edge]:
        """Edges into operations that are drawn."""
        visible = set(self.visible)
        return [
            edge
            for i in self.visible
            for edge in self.graph.inputs.get(i, ())
            if self._origin(edge) in visible
        ]

    def row(self, edge: Edge) -> dict[str, object]:
        """Return an edge's row of the table ``map_edges``."""
        energy, measured = self._energy(edge)
        share, branch, site = self._shares.get(self._last(edge), (np.nan, "", ""))
        return {
            "network": self.recording.name,
            "consumer": edge.consumer,
            "producer": self._origin(edge),
            "slot": edge.slot,
            "energy": energy,
            "measured": measured,
            "share": share,
            "branch": branch,
            "fork": site,
        }

    def _last(self, edge: Edge) -> Edge:
        """Follow operations that are not drawn towards the input, and return the last edge."""
        while self.graph.nodes[edge.producer].operation in ops.TRANSPARENT:
            inputs = self.graph.inputs.get(edge.producer, ())
            if len(inputs) != 1:
                break
            edge = inputs[0]
        return edge

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """(producer, consumer) of every edge that is drawn."""
        return [(self._origin(edge), edge.consumer) for edge in self.edges]

    def _origin(self, edge: Edge) -> int:
        return self._last(edge).producer

    def _energy(self, edge: Edge) -> tuple[float, bool]:
        """Return the energy along an edge, and whether it was measured there or derived exactly."""
        if edge not in self._energies:
            self._energies[edge] = self._measured(edge)
        return self._energies[edge]

    def _measured(self, edge: Edge) -> tuple[float, bool]:
        number = self._probe(edge)
        if number is not None and self.plan.sampled(number):
            count = self.recording.n * len(self.recording.replicates)
            return float(self.recording.energies[number].sum()) / count, True
        node, inputs = self.graph.nodes[edge.producer], self.graph.inputs.get(edge.producer, [])
        if len(self.graph.consumers[TensorKey(edge.producer, edge.output)]) != 1 or not inputs:
            return UNKNOWN
        onward = [self._energy(following) for following in inputs]
        if node.operation == "Cat":  # its gradient is cut into those of its inputs
            return sum(energy for energy, _ in onward), all(exact for _, exact in onward)
        if self._passes_on(inputs[0]):  # an addition passes its gradient to all its inputs
            return onward[0]
        if len(inputs) != 1:
            return UNKNOWN
        return onward[0][0], onward[0][1] and node.operation in ops.TRANSPARENT

    def _passes_on(self, edge: Edge) -> bool:
        """Return whether the consumer is an addition that passes its gradient unchanged to this edge."""
        node, key = self.graph.nodes[edge.consumer], TensorKey(edge.producer, edge.output)
        return (
            node.operation == "Add"
            and node.detail.get("alpha") == 1
            and node.shapes[0] == self.graph.shape(key)
        )

    def _probe(self, edge: Edge) -> int | None:
        """Return the number of the probe that watches an edge's gradient, or None."""
        key = TensorKey(edge.producer, edge.output)
        probe = self.plan.edge_probes.get(Slot(edge.consumer, edge.slot))
        if probe is None and len(self.graph.consumers[key]) == 1:
            probe = self.plan.tensor_probes.get(key)
        if probe is None and self._passes_on(edge):
            probe = self.plan.tensor_probes.get(TensorKey(edge.consumer, 0))
            onward = self.graph.consumers.get(TensorKey(edge.consumer, 0), ())
            if probe is None and len(onward) == 1:  # one addition after another: one buffer for all
                probe = self._probe(onward[0])
        return probe

    @cached_property
    def _shares(self) -> dict[Edge, tuple[float, str, str]]:
        """Share, branch and site of the edges that leave a fork or a split, mean over seeds.

        An edge from a part of a split that several operations read is a contribution of the fork of that part.
        """
        by_edge: dict[Edge, tuple[float, str, str]] = {}
        for where in ("fork", "split"):
            for group in (group for group in self.plan.groups if group.where == where):
                energies = energies_by_seed(self.recording, group.members)
                shares = mean_known(np.array([energy_shares(of_seed) for of_seed in energies]))
                for edges, share, label in zip(self._ends(group), shares, group.labels, strict=False):
                    values = (float(share), label, group.site)
                    by_edge |= {edge: values for edge in edges if edge not in by_edge}
        return by_edge

    def _ends(self, group: Group) -> list[list[Edge]]:
        """Return, by branch of a fork or part of a split, the edges at which it starts."""
        if group.where == "split":
            return [self.graph.consumers.get(key, []) for key in group.part_keys]
        edges = self.graph.consumers.get(group.source_key, [])
        return [[edge] for edge in edges] if len(edges) == len(group.members) else []
