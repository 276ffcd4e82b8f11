"""The energy share of each contribution at forks and of each part of a partial split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradlens.graph.nodes import TensorKey
from gradlens.graph.plan import Group
from gradlens.metrics import Step, energy_shares
from gradlens.recording import Recording


def energy_steps(recording: Recording) -> list[Step]:
    """Return the steps of the gradient, each with its share of the energy of its producer.

    Contributions that were not watched, or have no axis of samples, get equal shares.
    """
    graph = recording.plan.graph
    forks, outputs = _fork_shares(recording), _output_shares(recording)
    steps = []
    for index in reversed(graph.forward_order):
        for edge in graph.inputs.get(index, ()):
            key = TensorKey(edge.producer, edge.output)
            position = graph.consumers[key].index(edge)
            live = sum(
                TensorKey(key.node, output) in graph.consumers
                for output in range(len(graph.nodes[key.node].shapes))
            )
            share = forks[key][position] if key in forks else 1 / len(graph.consumers[key])
            steps.append(Step(edge.consumer, edge.producer, share * outputs.get(key, 1 / live)))
    return steps


def _fork_shares(recording: Recording) -> dict[TensorKey, Sequence[float]]:
    """Return the shares of a tensor's contributions in the order of its consumers, if they are known."""
    graph, shares = recording.plan.graph, dict[TensorKey, Sequence[float]]()
    for group, of_members in _known_shares(recording, "fork", ""):
        shares[group.source_key] = of_members
    for group, of_parts in _known_shares(recording, "split", "slice"):
        by_node = {key.node: share for key, share in zip(group.part_keys, of_parts, strict=True)}
        edges = graph.consumers[group.source_key]
        if all(edge.consumer in by_node for edge in edges):
            shares[group.source_key] = [by_node[edge.consumer] for edge in edges]
    return shares


def _output_shares(recording: Recording) -> dict[TensorKey, float]:
    """Return the share of each output of a split in the gradient of the split's input."""
    return {
        key: share
        for group, of_parts in _known_shares(recording, "split", "split")
        for key, share in zip(group.part_keys, of_parts, strict=True)
    }


def _known_shares(recording: Recording, where: str, form: str) -> Iterator[tuple[Group, Sequence[float]]]:
    """Yield the groups of a form with the energy share of each member, if all of them are known."""
    for group in recording.plan.groups:
        if group.where == where and group.form == form and (where == "fork" or group.parts):
            shares = energy_shares(recording.branch_energies(group))
            if np.isfinite(shares).all():
                yield group, shares.tolist()
