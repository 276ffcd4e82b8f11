"""The graph as it is drawn: without operations that only rename what they are given, and with energy on its edges."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Slot, TensorKey
from gradlens.metrics import energy_shares
from gradlens.recording import Recording


class Drawn:
    """The graph without the operations that only rename what they are given."""

    def __init__(self, recording: Recording) -> None:
        self.recording, self.plan, self.graph = recording, recording.plan, recording.plan.graph
        self._known: dict[Edge, tuple[float, bool]] = {}

    @cached_property
    def visible(self) -> list[int]:
        """Operations that are drawn, in forward order."""
        nodes = self.graph.nodes
        return [i for i in self.graph.forward_order if nodes[i].operation not in ops.TRANSPARENT]

    @cached_property
    def edges(self) -> list[Edge]:
        """Into operations that are drawn."""
        seen = set(self.visible)
        return [
            edge for i in self.visible for edge in self.graph.inputs.get(i, ()) if self._origin(edge) in seen
        ]

    def row(self, edge: Edge) -> dict[str, Any]:
        """An edge of the table ``map_edges``."""
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
        """The edge at the far end of a run of operations that are not drawn."""
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
        """Energy along an edge, and whether it was measured there or follows exactly from what was."""
        if edge not in self._known:
            self._known[edge] = self._measured(edge)
        return self._known[edge]

    def _measured(self, edge: Edge) -> tuple[float, bool]:
        probe = self._probe(edge)
        if probe is not None and self.plan.probes[probe].sampled:
            count = self.recording.n * len(self.recording.replicates)
            return float(self.recording.energies[probe].sum()) / count, True
        node, inputs = self.graph.nodes[edge.producer], self.graph.inputs.get(edge.producer, [])
        if len(self.graph.consumers[TensorKey(edge.producer, edge.output)]) != 1 or not inputs:
            return float("nan"), False
        behind = [self._energy(one) for one in inputs]
        if node.operation == "Cat":  # its gradient is cut into those of its inputs
            return sum(energy for energy, _ in behind), all(sure for _, sure in behind)
        if self._hands_on(inputs[0]):  # an addition hands its gradient to all its inputs
            return behind[0]
        if len(inputs) != 1:
            return float("nan"), False
        return behind[0][0], behind[0][1] and node.operation in ops.TRANSPARENT

    def _hands_on(self, edge: Edge) -> bool:
        node, key = self.graph.nodes[edge.consumer], TensorKey(edge.producer, edge.output)
        return (
            node.operation == "Add"
            and node.detail.get("alpha") == 1
            and node.shapes[0] == self.graph.shape(key)
        )

    def _probe(self, edge: Edge) -> int | None:
        key = TensorKey(edge.producer, edge.output)
        found = self.plan.edge_probes.get(Slot(edge.consumer, edge.slot))
        if found is None and len(self.graph.consumers[key]) == 1:
            found = self.plan.tensor_probes.get(key)
        if found is None and self._hands_on(edge):
            found = self.plan.tensor_probes.get(TensorKey(edge.consumer, 0))
            onward = self.graph.consumers.get(TensorKey(edge.consumer, 0), ())
            if found is None and len(onward) == 1:  # one addition after another: one buffer for all
                found = self._probe(onward[0])
        return found

    @cached_property
    def _shares(self) -> dict[Edge, tuple[float, str, str]]:
        """Share, branch and site of the edges that leave a fork or a split."""
        found: dict[Edge, tuple[float, str, str]] = {}
        energies = self.recording.energies.sum(axis=1)
        for group in self.plan.groups:
            if group.where == "merge":
                continue
            own = np.array([energies[list(member)].sum() for member in group.members])
            shares = energy_shares(own)
            edges = self.graph.consumers.get(TensorKey(*group.source), [])
            if group.where == "split":
                ends = [self.graph.consumers.get(key, []) for key in group.part_keys]
            else:
                ends = [[edge] for edge in edges] if len(edges) == len(own) else []
            for own_edges, share, label in zip(ends, shares, group.labels, strict=False):
                found |= {edge: (float(share), label, group.site) for edge in own_edges if edge not in found}
        return found
