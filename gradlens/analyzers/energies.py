"""The energy that each contribution brings: fork by fork, and part by part of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradlens.graph.branches import Branches, PartialSplit
from gradlens.graph.nodes import TensorKey
from gradlens.metrics import Step, energy_shares
from gradlens.recording import Recording


def energy_steps(recording: Recording) -> list[Step]:
    """The steps with the share of energy that each brings to its producer.

    Where contributions were not watched, or have no axis of samples, they count alike.
    """
    graph = recording.plan.graph
    forks, outputs = _fork_shares(recording), _output_shares(recording)
    steps = []
    for index in reversed(graph.forward_order):
        for edge in graph.inputs.get(index, ()):
            key = TensorKey(edge.producer, edge.output)
            place = graph.consumers[key].index(edge)
            live = sum(
                TensorKey(key.node, o) in graph.consumers for o in range(len(graph.nodes[key.node].shapes))
            )
            share = forks[key][place] if key in forks else 1 / len(graph.consumers[key])
            steps.append(Step(edge.consumer, edge.producer, share * outputs.get(key, 1 / live)))
    return steps


def _fork_shares(recording: Recording) -> dict[TensorKey, Sequence[float]]:
    graph, shares = recording.plan.graph, dict[TensorKey, Sequence[float]]()
    for group in recording.plan.groups:
        if group.where == "fork":
            found = _known_shares(recording, group.members)
            if found is not None:
                shares[TensorKey(*group.source)] = found
    for split, found in _split_shares(recording, "slice"):
        own = {part.key.node: share for part, share in zip(split.parts, found, strict=True)}
        edges = graph.consumers[split.source]
        if all(edge.consumer in own for edge in edges):
            shares[split.source] = [own[edge.consumer] for edge in edges]
    return shares


def _output_shares(recording: Recording) -> dict[TensorKey, float]:
    """Of a split's outputs, of its input's gradient."""
    return {
        part.key: share
        for split, found in _split_shares(recording, "split")
        for part, share in zip(split.parts, found, strict=True)
    }


def _split_shares(recording: Recording, form: str) -> Iterator[tuple[PartialSplit, Sequence[float]]]:
    groups = {(group.source, group.form): group for group in recording.plan.groups if group.where == "split"}
    for split in Branches(recording.plan.graph).splits:
        group = groups.get(((split.source.node, split.source.output), form))
        if split.form == form and group is not None and len(group.members) == len(split.parts):
            found = _known_shares(recording, group.members)
            if found is not None:
                yield split, found


def _known_shares(recording: Recording, members: Sequence[Sequence[int]]) -> Sequence[float] | None:
    shares = energy_shares(np.array([recording.energies[list(member)].sum() for member in members]))
    return shares.tolist() if np.isfinite(shares).all() else None
