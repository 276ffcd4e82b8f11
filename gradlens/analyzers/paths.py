"""Gradient paths: how many reach a layer, how long they are, and from which layers they come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.energies import energy_steps, equal_shares
from gradlens.analyzers.remembering import cached_by_recording
from gradlens.analyzers.tracing import shortest, traced
from gradlens.graph.sources import Segment, sources, timestamps
from gradlens.metrics import mean_interval, mean_length, path_shares
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

LISTED = 12
"""Largest number of timestamps that a row lists."""
HOW = (
    "Counts are exact, by dynamic programming over the autograd graph; a length counts weighted layers. Effective "
    "length: each fork's energy shares used as probabilities, without its cross terms (their size: cross_terms in "
    "the table structure); empty for dead layers, and if not every fork was watched (sites of some modules only). "
    "Where an operation cuts a tensor in a way whose energies are not measured (along positions, or by an operation "
    "that is no partial split), its outputs count as equal: equal_shares is the number of such operations between the "
    "layer and the loss, and the effective length is approximate if it is not 0. "
    "Sources: the layers, or the loss, that pass on their gradient through operations without weights; reuse: "
    "the number of layers that receive the gradient of this layer. Timestamps and combinations after Wang, Liao & "
    "Yeh 2022 (arXiv 2211.04800), channel by channel."
)


@dataclass(frozen=True)
class Paths:
    """Paths from the loss to each weighted layer, one row per layer.

    Attributes:
        level: coverage of the interval of the effective length over seeds.
    """

    level: float = 0.95

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for a network without weighted layers."""
        trace = traced(recording)
        if not trace.layers:
            return None
        assumed = equal_shares(recording)
        rows = [
            {
                "network": recording.name,
                "stage": recording.plan.stages[layer],
                "layer": _name(recording, layer),
                "order": order,
                **_path_counts(trace.counts[layer]),
                **self._effective(recording, layer),
                "equal_shares": assumed[layer],
                **_sources(trace.segments[layer]),
                "reuse": trace.reuse.get(layer, 0),
                "reason": _reason(recording, layer),
            }
            for order, layer in enumerate(trace.layers)
        ]
        return Table(
            "paths",
            pd.DataFrame(rows),
            "Paths of the gradient from the loss to each weighted layer, that layer included.",
            how=HOW,
            units={
                "paths": "exact count",
                "shortest": "weighted layers",
                "longest": "weighted layers",
                "mean_length": "weighted layers, mean over paths",
                "effective_length": "weighted layers, weighted by energy",
                "equal_shares": "operations, 0 if every share is measured",
                "sources": "layers",
                "reuse": "layers",
                "combinations": "runs of channels with one set of (timestamp, source)",
            },
        )

    def _effective(self, recording: Recording, layer: int) -> dict[str, float]:
        """Return the path length weighted by energy, with its interval over seeds."""
        seeds = [] if layer in _dead(recording) else _shares(recording)
        lengths = np.array([1 + mean_length(shares[layer]) for shares in seeds])
        interval = mean_interval(lengths[np.isfinite(lengths)], self.level)
        return {
            "effective_length": interval.mean,
            "effective_low": interval.low,
            "effective_high": interval.high,
        }


@dataclass(frozen=True)
class PathLengths:
    """The distribution of path lengths, one row per layer and length."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for a network without weighted layers."""
        trace = traced(recording)
        if not trace.layers:
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
                "share": count / sum(trace.counts[layer]),
                "energy_share": float(np.mean([_entry(seed[layer], length) for seed in shares]))
                if shares
                else np.nan,
            }
            for order, layer in enumerate(trace.layers)
            for length, count in enumerate(trace.counts[layer])
            if count
        ]
        return Table(
            "path_lengths",
            pd.DataFrame(rows),
            "How many paths of each length lead from the loss to a layer, and the share of energy along them.",
            how="As in the table paths; energy_share is the mean over seeds and sums to 1 over lengths.",
            units={"length": "weighted layers", "share": "of paths", "energy_share": "of energy"},
        )


def _path_counts(counts: Sequence[int]) -> dict[str, object]:
    """Return the number and lengths of the paths to one layer."""
    return {
        "paths": str(sum(counts)),
        "log10_paths": math.log10(max(sum(counts), 1)),
        "shortest": shortest(counts),
        "longest": len(counts),
        "mean_length": 1 + mean_length(counts),
    }


def _sources(segments: Sequence[Segment]) -> dict[str, object]:
    """Return the sources of one layer's gradient."""
    return {
        "sources": len(sources(segments)),
        "combinations": len(segments),
        "timestamps": _timestamps_text(segments),
    }


def forks_watched(recording: Recording) -> bool:
    """Return whether every tensor with several readers was watched, so that its energy shares are known."""
    watched = {tuple(group.source) for group in recording.plan.groups}
    consumers = recording.plan.graph.consumers
    return all((key.node, key.output) in watched for key, edges in consumers.items() if len(edges) > 1)


@cached_by_recording
def _shares(recording: Recording) -> Sequence[Sequence[Array]]:
    """Return the energy by path length, by seed and node; empty if the energy at some fork is not known."""
    if not forks_watched(recording):
        return []
    nodes = recording.plan.graph.nodes
    weighted = [node.weighted for node in nodes]
    return [
        path_shares(len(nodes), energy_steps(recording.of_seed(seed)), weighted) for seed in recording.seeds
    ]


@cached_by_recording
def _dead(recording: Recording) -> set[int]:
    """Return the weighted layers whose gradient was watched and is exactly zero, so no path carries energy to them."""
    signals = (signal for signal in recording.signals if not recording.energies[signal.number].any())
    return {node for signal in signals for node in signal.probe.nodes}


def _reason(recording: Recording, layer: int) -> str:
    """Return why a layer has no effective length; empty if it has one."""
    if layer in _dead(recording):
        return "exactly zero at this state"
    if not forks_watched(recording):
        return "not every fork was watched"
    if not any(shares[layer].any() for shares in _shares(recording)):
        return "no energy arrives through the forks between the layer and the loss"
    return ""


def _name(recording: Recording, layer: int) -> str:
    owner = recording.plan.owners[layer]
    return (owner.module or "(model)") + (f"@{owner.call + 1}" if owner.call else "")


def _entry(shares: Array, length: int) -> float:
    return float(shares[length]) if length < len(shares) else 0.0


def _timestamps_text(segments: Sequence[Segment]) -> str:
    """Return the timestamps of each run of channels, ``1 3 5 | 3 5``."""
    runs = []
    for segment in segments:
        times = timestamps(segment.combination)
        runs.append(" ".join(map(str, times[:LISTED])) + (f" … {times[-1]}" if len(times) > LISTED else ""))
    return " | ".join(dict.fromkeys(runs))
