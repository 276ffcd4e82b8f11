"""The gradient sources of the layers of a stage, from the graph alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.energies import energies_by_seed
from gradlens.analyzers.replicates import mean_known
from gradlens.analyzers.signals import WHOLE
from gradlens.analyzers.tracing import Traced, shortest, traced
from gradlens.catalogue import units
from gradlens.graph.sources import timestamps
from gradlens.metrics import coherence, mean_jaccard
from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class Structure:
    """Sources and paths of the layers of a stage, one row per stage and one for the whole network."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for a network without weighted layers."""
        trace = traced(recording)
        if not trace.layers:
            return None
        crossing = cross_terms(recording)
        rows = [
            {
                "network": recording.name,
                "stage": stage,
                **_row(trace, layers, [size for at, size in crossing if stage in (WHOLE, at)]),
            }
            for stage, layers in trace.by_stage(recording).items()
        ]
        return Table(
            "structure",
            pd.DataFrame(rows),
            "Gradient sources and paths of the layers of a stage, from the graph alone.",
            how=(
                "Structural duplication: mean Jaccard overlap of the source sets of each pair of layers; 0 in a "
                "chain, 1/2 between dense layers of one convolution (a bottleneck's inner layers have one source "
                "each, which lowers it). Combinations: distinct sets of timestamps, and of (timestamp, "
                "source), over all channels (Wang, Liao & Yeh 2022). Cross terms: mean |coherence − 1| of the "
                "forks, in each seed, which energy-weighted path lengths ignore. The other columns need no gradient."
            ),
            units=units("structure"),
        )


def _row(trace: Traced, layers: Sequence[int], crossing: Sequence[float]) -> dict[str, object]:
    segments = [segment for layer in layers for segment in trace.segments[layer]]
    counts = [trace.counts[layer] for layer in layers]
    return {
        "layers": len(layers),
        "structural_duplication": mean_jaccard([trace.sources[layer] for layer in layers]),
        "timestamp_combinations": len({timestamps(s.combination) for s in segments}),
        "source_combinations": len({frozenset(s.combination.items()) for s in segments}),
        "longest_shortest": max(map(shortest, counts)),
        "longest": max(map(len, counts)),
        "mean_sources": float(np.mean([len(trace.sources[layer]) for layer in layers])),
        "max_reuse": max(trace.reuse.get(layer, 0) for layer in layers),
        "cross_terms": float(np.mean(crossing)) if crossing else float("nan"),
    }


def structural_duplication(recording: Recording) -> dict[str, float]:
    """Return the structural duplication by stage, of the whole network last; empty without weighted layers."""
    trace = traced(recording)
    if not trace.layers:
        return {}
    return {
        stage: mean_jaccard([trace.sources[layer] for layer in layers])
        for stage, layers in trace.by_stage(recording).items()
    }


def cross_terms(recording: Recording) -> list[tuple[str, float]]:
    """Return (stage, ``|coherence - 1|``, mean over seeds) of each fork that carries a gradient."""
    terms = []
    for group in recording.plan.network_groups.values():
        if group.where == "fork" and group.total is not None:
            totals = energies_by_seed(recording, [(group.total,)])[:, 0]
            branches = energies_by_seed(recording, group.members)
            sizes = [abs(coherence(*energies) - 1) for energies in zip(totals, branches, strict=True)]
            size = float(mean_known(np.array(sizes)))
            if math.isfinite(size):
                terms.append((group.stage, size))
    return terms
