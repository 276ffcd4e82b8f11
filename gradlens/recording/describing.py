"""A short description of a recording: watched gradients, samples, state and size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gradlens.graph.plan import Plan
from gradlens.numbers import scaled
from gradlens.recording.costs import Costs
from gradlens.recording.provenance import Provenance

WHERE = {"fork": "fork", "split": "partial split", "merge": "merge"}


def facts_of(
    plan: Plan,
    replicates: Sequence[tuple[int, int]],
    kept: Sequence[NDArray[np.float64]],
    costs: Costs | None,
    provenance: Provenance,
) -> dict[str, str]:
    """Return facts about a recording by name, the most important first.

    Args:
        plan: what was watched.
        replicates: (seed, batch) of each replicate.
        kept: arrays of the recording, the Grams ``[p, s, n, n]`` first.
        costs: costs of one step, or None.
        provenance: provenance of the recording.
    """
    facts = {
        "watched": _watched(plan, provenance.of_weights),
        "samples": _samples(replicates, kept[0].shape[-1]),
        "state": f"{provenance.mode} mode, {provenance.space} space",
        "sites": f"{provenance.sites}, pairs by {provenance.pairs}",
        "graph": f"{len(plan.graph.nodes)} operations, signals in stages {', '.join(_stages(plan)) or 'none'}",
        "kept": f"{len(kept[0])} Grams per replicate, {_bytes(kept)}",
    }
    if costs is not None:
        facts["cost"] = _cost(costs)
    return facts


def notes_of(provenance: Provenance) -> list[str]:
    """Return remarks on how the network was made and recorded that affect its numbers."""
    notes = [*provenance.notes, *([provenance.start] if provenance.start else [])]
    if provenance.frozen_layers:
        notes.append(f"{_count(len(provenance.frozen_layers), 'layer')} without a signal: frozen")
    unseen = provenance.unseen_layers
    if unseen:
        notes.append(
            f"{_count(len(unseen), 'layer')} ran whose gradient is not among the signals: {', '.join(unseen[:4])}"
        )
    if provenance.partial:
        notes.append("the capture was stopped early; it holds the finished batches")
    return notes


def _watched(plan: Plan, weights: bool) -> str:
    counted = Counter(group.where for group in plan.groups)
    groups = [_count(counted[where], name) for where, name in WHERE.items() if counted[where]]
    of = "weights" if weights else "layers"
    return ", ".join([f"{_count(len(plan.signals), 'signal')} of {of}", *groups])


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


def _stages(plan: Plan) -> list[str]:
    return list(dict.fromkeys(plan.probes[signal].stage for signal in plan.signals))


def _samples(replicates: Sequence[tuple[int, int]], n: int) -> str:
    count, seeds = len(replicates), dict.fromkeys(seed for seed, _ in replicates)
    batches = f"{count} batch{'es' * (count != 1)} of {n}"
    return f"{batches}, seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"


def _bytes(kept: Sequence[NDArray[np.float64]]) -> str:
    return scaled(float(sum(array.nbytes for array in kept)), 1024.0, ("B", "KiB", "MiB", "GiB"))


def _cost(costs: Costs) -> str:
    flops = sum(costs.flops.values()) / max(costs.samples, 1)
    prefixes = ("", "k", "M", "G", "T")
    parameters = scaled(float(sum(costs.parameters.values())), 1000.0, prefixes)
    return f"{parameters} parameters, {scaled(flops, 1000.0, prefixes)} FLOPs per image"
