"""Gradient paths: how many reach a layer, how long they are, and from which layers they come."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.energies import energy_steps
from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import units
from gradlens.graph.nodes import Graph
from gradlens.graph.sources import Segment, combinations, sources, timestamps
from gradlens.metrics import (
    Step,
    coherence,
    mean_interval,
    mean_jaccard,
    mean_length,
    path_counts,
    path_shares,
    reuse,
)
from gradlens.recording import Recording
from gradlens.results import Table

LISTED = 12
"""Timestamps that a row writes out."""


@dataclass(frozen=True)
class Paths:
    """Paths from the loss to each weighted layer, a row a layer.

    Attributes:
        level: coverage of the interval of the effective length over seeds.
    """

    level: float = 0.95

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for a network without weighted layers."""
        traced = _Traced.of(recording)
        if not traced.layers:
            return None
        shares, dead = _shares(recording), _dead(recording)
        rows = []
        for order, layer in enumerate(traced.layers):
            lengths = np.array([1 + mean_length(seed[layer]) for seed in shares if layer not in dead])
            effective = mean_interval(lengths[np.isfinite(lengths)], self.level)
            rows.append(
                {
                    "network": recording.name,
                    "stage": recording.plan.stages[layer],
                    "layer": _name(recording, layer),
                    "order": order,
                    **_counted(traced.counts[layer]),
                    "effective_length": effective.mean,
                    "effective_low": effective.low,
                    "effective_high": effective.high,
                    **_origins(traced.segments[layer]),
                    "reuse": traced.fed.get(layer, 0),
                }
            )
        return Table(
            "paths",
            pd.DataFrame(rows),
            "Paths of the gradient from the loss to each weighted layer, that layer included.",
            how=(
                "Counts are exact, by dynamic programming over the autograd graph; a length counts weighted "
                "layers. Effective length: each fork's energy shares taken for probabilities, its cross terms "
                "dropped (their size: cross_terms in the table structure); empty for dead layers, and where not "
                "every fork was watched (sites of some modules only). Sources: the "
                "layers, or the loss, that hand on their gradient through operations without weights; reuse: "
                "layers that a layer hands it to. Timestamps and combinations after Wang, Liao & Yeh 2022 "
                "(arXiv 2211.04800), channel by channel."
            ),
            units={
                "paths": "exact count",
                "shortest": "weighted layers",
                "longest": "weighted layers",
                "mean_length": "weighted layers, mean over paths",
                "effective_length": "weighted layers, weighted by energy",
                "sources": "layers",
                "reuse": "layers",
                "combinations": "runs of channels with one set of (timestamp, source)",
            },
        )


@dataclass(frozen=True)
class PathLengths:
    """The distribution of path lengths, a row a layer and length."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for a network without weighted layers."""
        traced = _Traced.of(recording)
        if not traced.layers:
            return None
        shares = _shares(recording)
        rows = [
            {
                "network": recording.name,
                "stage": recording.plan.stages[layer],
                "layer": _name(recording, layer),
                "order": order,
                "length": length + 1,
                "paths": str(count),
                "share": count / sum(traced.counts[layer]),
                "energy_share": float(np.mean([_entry(seed[layer], length) for seed in shares]))
                if shares
                else np.nan,
            }
            for order, layer in enumerate(traced.layers)
            for length, count in enumerate(traced.counts[layer])
            if count
        ]
        return Table(
            "path_lengths",
            pd.DataFrame(rows),
            "How many paths of each length lead from the loss to a layer, and what comes along them.",
            how="As in the table paths; energy_share is the mean over seeds and sums to 1 over lengths.",
            units={"length": "weighted layers", "share": "of paths", "energy_share": "of energy"},
        )


@dataclass(frozen=True)
class Structure:
    """What the graph alone says of a stage, a row a stage and one for the whole network."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for a network without weighted layers."""
        traced = _Traced.of(recording)
        if not traced.layers:
            return None
        crossing = cross_terms(recording)
        rows = []
        for stage, own in traced.by_stage(recording).items():
            segments = [segment for layer in own for segment in traced.segments[layer]]
            counts = [traced.counts[layer] for layer in own]
            across = [size for place, size in crossing if stage in (WHOLE, place)]
            rows.append(
                {
                    "network": recording.name,
                    "stage": stage,
                    "layers": len(own),
                    "structural_duplication": mean_jaccard([traced.sources[layer] for layer in own]),
                    "timestamp_combinations": len({timestamps(s.combination) for s in segments}),
                    "source_combinations": len({frozenset(s.combination.items()) for s in segments}),
                    "longest_shortest": max(map(_shortest, counts)),
                    "longest": max(map(len, counts)),
                    "mean_sources": float(np.mean([len(traced.sources[layer]) for layer in own])),
                    "max_reuse": max(traced.fed.get(layer, 0) for layer in own),
                    "cross_terms": float(np.mean(across)) if across else float("nan"),
                }
            )
        return Table(
            "structure",
            pd.DataFrame(rows),
            "What the graph alone says about where the layers of a stage get their gradient.",
            how=(
                "Structural duplication: mean Jaccard overlap of the source sets of every two layers; 0 in a "
                "chain, 1/2 among dense layers of one convolution (a bottleneck's inner layers have one source "
                "each, which lowers it). Combinations: distinct sets of timestamps, and of (timestamp, "
                "source), over all channels (Wang, Liao & Yeh 2022). Cross terms: mean |coherence − 1| of the "
                "forks, what the energy-weighted path lengths leave out. No gradient is needed for the rest."
            ),
            units=units("structure"),
        )


@dataclass(frozen=True)
class _Traced:
    """What the graph alone says of every weighted layer, by node."""

    layers: list[int]
    counts: list[list[int]]
    segments: dict[int, list[Segment]]
    sources: dict[int, frozenset[int]]
    fed: dict[int, int]

    @classmethod
    def of(cls, recording: Recording) -> _Traced:
        graph, layers = recording.plan.graph, weighted_layers(recording)
        flags = [node.weighted for node in graph.nodes]
        found = combinations(graph)
        segments = {layer: found.get(layer, []) for layer in layers}
        origins = {layer: sources(own) for layer, own in segments.items()}
        counts = path_counts(len(graph.nodes), list(steps_of(graph)), flags)
        return cls(layers, counts, segments, origins, reuse(origins))

    def by_stage(self, recording: Recording) -> dict[str, list[int]]:
        """The layers of each stage in forward order, and of the whole network."""
        stages = recording.plan.stages
        named = dict.fromkeys(stages[layer] for layer in self.layers)
        own = {stage: [layer for layer in self.layers if stages[layer] == stage] for stage in named}
        return {**own, WHOLE: self.layers}


def _counted(counts: Sequence[int]) -> dict[str, Any]:
    """What the graph alone says of the paths to one layer."""
    return {
        "paths": str(sum(counts)),
        "log10_paths": math.log10(max(sum(counts), 1)),
        "shortest": _shortest(counts),
        "longest": len(counts),
        "mean_length": 1 + mean_length(counts),
    }


def _origins(segments: Sequence[Segment]) -> dict[str, Any]:
    """Where the gradient of one layer comes from."""
    return {
        "sources": len(sources(segments)),
        "combinations": len(segments),
        "timestamps": _written(segments),
    }


def weighted_layers(recording: Recording) -> list[int]:
    """Nodes of the weighted layers in forward order."""
    graph = recording.plan.graph
    return [index for index in graph.forward_order if graph.nodes[index].weighted]


def structural_duplication(recording: Recording) -> dict[str, float]:
    """Structural duplication by stage, the whole network last; empty without weighted layers."""
    traced = _Traced.of(recording)
    if not traced.layers:
        return {}
    return {
        stage: mean_jaccard([traced.sources[layer] for layer in own])
        for stage, own in traced.by_stage(recording).items()
    }


def cross_terms(recording: Recording) -> list[tuple[str, float]]:
    """(stage, ``|coherence - 1|``) of each fork that carries a gradient."""
    found = []
    for group in recording.plan.groups:
        if group.where == "fork" and group.total is not None:
            energies = np.array([recording.energies[list(member)].sum() for member in group.members])
            size = abs(coherence(float(recording.energies[group.total].sum()), energies) - 1)
            if math.isfinite(size):
                found.append((group.stage, size))
    return found


def steps_of(graph: Graph) -> Iterator[Step]:
    """The steps of the gradient, from the loss on."""
    for index in reversed(graph.forward_order):
        for edge in graph.inputs.get(index, ()):
            yield Step(edge.consumer, edge.producer)


def forks_watched(recording: Recording) -> bool:
    """Every tensor that several operations read was watched, so that its energy shares are known."""
    known = {tuple(group.source) for group in recording.plan.groups}
    consumers = recording.plan.graph.consumers
    return all((key.node, key.output) in known for key, edges in consumers.items() if len(edges) > 1)


def _shares(recording: Recording) -> list[list[np.ndarray]]:
    """By seed and node; empty where the energy at some fork is not known."""
    if not forks_watched(recording):
        return []
    return [path_shares(*_arguments(recording, seed)) for seed in recording.seeds]


def _arguments(recording: Recording, seed: int) -> tuple[int, list[Step], list[bool]]:
    graph = recording.plan.graph
    return len(graph.nodes), energy_steps(recording.of_seed(seed)), [node.weighted for node in graph.nodes]


def _dead(recording: Recording) -> set[int]:
    """Weighted layers whose gradient was watched and is exactly zero: no path brings them anything."""
    return {
        recording.plan.probes[number].node
        for number in recording.plan.signals
        if not recording.energies[number].any()
    }


def _name(recording: Recording, layer: int) -> str:
    owner = recording.plan.owners[layer]
    return (owner.module or "(model)") + (f"@{owner.call + 1}" if owner.call else "")


def _shortest(counts: Sequence[int]) -> int:
    return next((length + 1 for length, count in enumerate(counts) if count), 0)


def _entry(shares: np.ndarray, length: int) -> float:
    return float(shares[length]) if length < len(shares) else 0.0


def _written(segments: Sequence[Segment]) -> str:
    """Timestamps of each run of channels, ``1 3 5 | 3 5``."""
    written = []
    for segment in segments:
        own = timestamps(segment.combination)
        written.append(" ".join(map(str, own[:LISTED])) + (f" … {own[-1]}" if len(own) > LISTED else ""))
    return " | ".join(dict.fromkeys(written))
