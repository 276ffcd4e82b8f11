"""The network as it is drawn: its operations, what runs between them, and what was measured there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.blocks import blocks_of, groups_of
from gradlens.analyzers.drawn import Drawn
from gradlens.analyzers.flow import Flow
from gradlens.analyzers.signals import members, stages_of
from gradlens.analyzers.similarity import VERSIONS, signal_similarity
from gradlens.graph.plan import Plan
from gradlens.graph.sites import site_names
from gradlens.recording import Recording
from gradlens.results import Table

FLOW = ("rms", "effective_rank", "diversity", "stiffness_across", "dead")


@dataclass(frozen=True)
class MapNodes:
    """Operations of the network in forward order, a row an operation; views and casts are looked through."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for an empty graph."""
        drawn = Drawn(recording)
        if not drawn.visible:
            return None
        measured, costs = _measured(recording), _layer_costs(recording)
        names = site_names(recording.plan.graph, recording.plan.owners)
        blocks = blocks_of(recording.plan, drawn.visible, drawn.pairs, names)
        groups = groups_of(recording.plan, drawn.visible, drawn.pairs)
        sources, merges = _sites(recording.plan, names)
        rows = [
            {
                "network": recording.name,
                "node": index,
                "site": names[index],
                "operation": recording.plan.graph.nodes[index].operation,
                "module": recording.plan.owners[index].module,
                "block": blocks[index],
                "group": groups[index],
                "stage": recording.plan.stages[index],
                "depth": recording.plan.graph.depths[index],
                "fork": "; ".join(sources.get(index, ())),
                "merge": "; ".join(merges.get(index, ())),
                "signal": "",
                **dict.fromkeys(_ALIKE.values(), np.nan),
                **dict.fromkeys(FLOW, np.nan),
                **measured.get(index, {}),
                **costs.get(index, {"flops": np.nan, "parameters": np.nan}),
            }
            for index in drawn.visible
        ]
        frame = pd.DataFrame(rows)
        return Table(
            "map_nodes",
            frame.astype({"dead": object}),
            "The network's operations in forward order.",
            how=(
                "From the autograd graph; views, permutes and casts are looked through. Alike: mean CKA of the "
                "layer's signal with the other live signals of its stage, mean over seeds. Fork: the forks and "
                "partial splits whose tensor this operation makes or cuts; merge: those whose ways meet here. Block: "
                "the smallest numbered module of two weighted layers or more; group: the stage, numbered where the "
                "network comes back to it."
            ),
            units={"alike": "mean CKA", "rms": "per sample and element", "flops": "FLOPs an image"},
        )


@dataclass(frozen=True)
class MapEdges:
    """What runs between the operations of ``MapNodes``, a row an edge."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for an empty graph."""
        drawn = Drawn(recording)
        rows = [drawn.row(edge) for edge in drawn.edges]
        if not rows:
            return None
        return Table(
            "map_edges",
            pd.DataFrame(rows),
            "The gradient that comes back between every two operations.",
            how=(
                "Energy: mean squared norm per sample of the gradient along the edge, of the summed loss; measured "
                "there, or following exactly (a concatenation's is the sum of its inputs'). Where neither is so "
                "(measured: no), it is that of the nearest known edge on the way to the input, behind operations of "
                "one input and one reader, or empty. Share: of the energy at its fork or split."
            ),
            units={"energy": "squared norm per sample", "share": "0 to 1"},
        )


_ALIKE = {
    "energy": "alike",
    "direction": "alike_direction",
    "energy given loss": "alike_given_loss",
    "direction given loss": "alike_direction_given_loss",
}


def _measured(recording: Recording) -> dict[int, dict[str, Any]]:
    """By node, its signal, how much that is like others of its stage, and its size and rank."""
    numbers = recording.plan.signals
    found: dict[int, dict[str, Any]] = {
        recording.plan.probes[number].node: {"signal": name}
        for number, name in zip(numbers, [signal.name for signal in recording.signals], strict=True)
    }
    places = [recording.plan.probes[number].node for number in numbers]
    for version, values in _alike(recording).items():
        for node, value in zip(places, values, strict=True):
            found[node][_ALIKE[version]] = value
    flow = Flow()(recording)
    by_signal = {} if flow is None else flow.frame.set_index("signal")[list(FLOW)].to_dict("index")
    for own in found.values():
        own |= {str(name): value for name, value in by_signal.get(own["signal"], {}).items()}
    return found


def _alike(recording: Recording) -> dict[str, np.ndarray]:
    """Mean CKA of each signal with the other live ones of its stage, ``[l]`` by version."""
    stacks: dict[str, list[np.ndarray]] = defaultdict(list)
    for seed in recording.seeds if len(recording.plan.signals) else ():
        versions = signal_similarity(recording, seed).versions
        for version in VERSIONS:
            matrix = versions[version].copy()
            np.fill_diagonal(matrix, np.nan)
            own = np.full(len(matrix), np.nan)
            for stage in stages_of(recording):
                inside = members(recording, stage)
                own[inside] = [_mean(matrix[place][inside]) for place in inside]
            stacks[version].append(own)
    return {v: np.array([_mean(column) for column in np.array(s).T]) for v, s in stacks.items()}


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _layer_costs(recording: Recording) -> dict[int, dict[str, float]]:
    """FLOPs an image and parameters of the module of each weighted operation; of several calls, at the first."""
    costs, found, seen = recording.costs, dict[int, dict[str, float]](), set()
    for index in recording.plan.graph.forward_order if costs is not None else ():
        module = recording.plan.owners[index].module
        if recording.plan.graph.nodes[index].weighted and module not in seen:
            seen.add(module)
            assert costs is not None
            found[index] = {
                "flops": costs.flops.get(module, 0) / costs.samples,
                "parameters": float(costs.parameters.get(module, 0)),
            }
    return found


def _sites(plan: Plan, names: list[str]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """By node, the sites of the forks and splits it is the source of or cuts, and of those that it merges."""
    sources: dict[int, list[str]] = defaultdict(list)
    merges: dict[int, list[str]] = defaultdict(list)
    by_name = {name: index for index, name in enumerate(names)}
    for group in plan.groups:
        if group.where == "merge":
            continue
        sources[group.source[0]].append(group.site)
        cuts = [plan.probes[member[0]].node for member in group.members if group.form in ("split", "slice")]
        for cut in dict.fromkeys(cuts):
            sources[cut].append(group.site)
        if group.merge in by_name:
            merges[by_name[group.merge]].append(group.site)
    return sources, merges
