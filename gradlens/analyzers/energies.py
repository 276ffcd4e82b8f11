"""The energy share of each contribution at forks and of each part of a partial split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from gradlens.graph.nodes import Graph, TensorKey
from gradlens.graph.plan import Group
from gradlens.metrics import Step, energy_shares
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording


def energies_by_seed(recording: Recording, members: Sequence[Sequence[int]]) -> Array:
    """Return the energy of each member of a group, given by its probes, over the batches of each seed, ``[s, b]``."""
    seeds = np.array([seed for seed, _ in recording.replicates])
    energies = np.stack([recording.energies[list(member)].sum(axis=0) for member in members])
    return np.stack([energies[:, seeds == seed].sum(axis=1) for seed in recording.seeds])


def energy_steps(recording: Recording) -> list[Step]:
    """Return the steps of the gradient, each with its share of the energy of its producer.

    Contributions that were not watched, or have no axis of samples, get equal shares (see ``equal_shares``).
    """
    graph = recording.plan.graph
    forks, outputs = _fork_shares(recording), _output_shares(recording)
    live = _live_outputs(graph)
    steps = []
    for index in reversed(graph.forward_order):
        for edge in graph.inputs.get(index, ()):
            key = TensorKey(edge.producer, edge.output)
            position = graph.consumers[key].index(edge)
            share = forks[key][position] if key in forks else 1 / len(graph.consumers[key])
            steps.append(Step(edge.consumer, edge.producer, share * outputs.get(key, 1 / live[key.node])))
    return steps


def equal_shares(recording: Recording) -> list[int]:
    """Return, by node, the number of nodes from it to the loss at which equal shares replace unknown energies."""
    graph = recording.plan.graph
    forks, outputs = _fork_shares(recording), _output_shares(recording)
    live = _live_outputs(graph)
    unknown = {
        key.node
        for key, edges in graph.consumers.items()
        if (len(edges) > 1 and key not in forks) or (live[key.node] > 1 and key not in outputs)
    }
    after: list[frozenset[int]] = [frozenset()] * len(graph.nodes)
    for index in reversed(graph.forward_order) if unknown else ():
        for edge in graph.inputs.get(index, ()):
            after[edge.producer] |= after[index] | ({edge.producer} & unknown)
    return [len(nodes) for nodes in after]


def _live_outputs(graph: Graph) -> Counter[int]:
    """Return, by node, the number of its outputs that receive a gradient."""
    return Counter(key.node for key in graph.consumers)


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
    """Yield the groups of a form with the energy share of each member, if all of them are known; 0 if all are zero."""
    for group in recording.plan.groups:
        if group.where == where and group.form == form and (where == "fork" or group.parts):
            energies = recording.branch_energies(group)
            if np.isfinite(energies).all():
                yield group, np.nan_to_num(energy_shares(energies)).tolist()
