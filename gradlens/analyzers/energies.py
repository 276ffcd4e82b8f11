"""The share of energy that each contribution brings: at forks, and to the parts of partial splits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradlens.graph.branches import Branches, PartialSplit
from gradlens.graph.nodes import TensorKey
from gradlens.graph.plan import Group
from gradlens.metrics import Step, energy_shares
from gradlens.recording import Recording


def energy_steps(recording: Recording) -> list[Step]:
    """Return the steps of the gradient, each with the share of energy that it brings to its producer.

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
                TensorKey(key.node, o) in graph.consumers for o in range(len(graph.nodes[key.node].shapes))
            )
            share = forks[key][position] if key in forks else 1 / len(graph.consumers[key])
            steps.append(Step(edge.consumer, edge.producer, share * outputs.get(key, 1 / live)))
    return steps


def _fork_shares(recording: Recording) -> dict[TensorKey, Sequence[float]]:
    """Return the shares of a tensor's contributions in the order of its consumers, for tensors where they are known."""
    graph, by_tensor = recording.plan.graph, dict[TensorKey, Sequence[float]]()
    for group in recording.plan.groups:
        if group.where == "fork":
            shares = _known_shares(recording, group)
            if shares is not None:
                by_tensor[TensorKey(*group.source)] = shares
    for split, part_shares in _split_shares(recording, "slice"):
        by_node = {part.key.node: share for part, share in zip(split.parts, part_shares, strict=True)}
        edges = graph.consumers[split.source]
        if all(edge.consumer in by_node for edge in edges):
            by_tensor[split.source] = [by_node[edge.consumer] for edge in edges]
    return by_tensor


def _output_shares(recording: Recording) -> dict[TensorKey, float]:
    """Return the share of each output of a split in the gradient of the split's input."""
    return {
        part.key: share
        for split, shares in _split_shares(recording, "split")
        for part, share in zip(split.parts, shares, strict=True)
    }


def _split_shares(recording: Recording, form: str) -> Iterator[tuple[PartialSplit, Sequence[float]]]:
    """Yield the partial splits of one form with the shares of their parts, if these are known."""
    groups = {(group.source, group.form): group for group in recording.plan.groups if group.where == "split"}
    for split in Branches(recording.plan.graph).splits:
        group = groups.get(((split.source.node, split.source.output), form))
        if split.form == form and group is not None and len(group.members) == len(split.parts):
            shares = _known_shares(recording, group)
            if shares is not None:
                yield split, shares


def _known_shares(recording: Recording, group: Group) -> Sequence[float] | None:
    """Return the energy shares of a group's branches, or None if one of them is not known."""
    shares = energy_shares(recording.branch_energies(group))
    return shares.tolist() if np.isfinite(shares).all() else None
