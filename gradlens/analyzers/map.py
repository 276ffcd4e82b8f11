"""The network map: the operations, the edges between them, and the measurements at both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.blocks import blocks_of, groups_of
from gradlens.analyzers.conflicts import Conflicts
from gradlens.analyzers.drawn import Drawn
from gradlens.analyzers.flow import Flow
from gradlens.analyzers.losses import Ledger
from gradlens.analyzers.signals import signals_of, stages_of
from gradlens.analyzers.similarity import seed_similarities
from gradlens.catalogue.losses import AND, CONFLICT_OF, SHARE_OF
from gradlens.catalogue.mapped import SIGNAL_QUANTITIES, alike_column, map_quantity
from gradlens.catalogue.versions import VERSIONS, Version
from gradlens.graph.owners import Owner
from gradlens.graph.plan import Plan
from gradlens.graph.sites import site_names
from gradlens.recording import Recording
from gradlens.results import Table

FLOW = (*(entry.name for entry in SIGNAL_QUANTITIES if map_quantity(entry.name)), "dead")
"""Columns of a signal that are copied from the table ``flow``."""


@dataclass(frozen=True)
class MapNodes:
    """Operations of the network in forward order, one row per operation; views and casts are skipped."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for an empty graph."""
        drawn = Drawn(recording)
        if not drawn.visible:
            return None
        measured, costs = _measured(recording), _layer_costs(recording)
        by_loss = _by_loss(recording)
        losses = dict.fromkeys(name for values in by_loss.values() for name in values)
        rows = [
            {
                **row,
                "signal": "",
                **{alike_column(version): np.nan for version in VERSIONS},
                **dict.fromkeys(FLOW, np.nan),
                **dict.fromkeys(losses, np.nan),
                **measured.get(index, {}),
                **by_loss.get(str(measured.get(index, {}).get("signal")), {}),
                **costs.get(index, {"flops": np.nan, "parameters": np.nan}),
            }
            for index, row in _operations(recording, drawn).items()
        ]
        return Table(
            "map_nodes",
            pd.DataFrame(rows).astype({"dead": object}),
            "The network's operations in forward order.",
            how=(
                "From the autograd graph, without views, permutes and casts. Alike: mean CKA of the layer's signal "
                "with the other live signals of its stage, mean over seeds. Fork: the forks and partial splits whose "
                "tensor this operation makes or cuts; merge: those whose branches meet here. Block: the smallest "
                "numbered module with at least two weighted layers; group: the stage, numbered if the network returns "
                "to it. Share and conflict of losses: those of the tables losses and conflicts at the layer's signal."
            ),
            units={"alike": "mean CKA", "rms": "per sample and element", "flops": "FLOPs per image"},
        )


@dataclass(frozen=True)
class MapEdges:
    """The edges between the operations of ``MapNodes``, one row per edge."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for an empty graph."""
        drawn = Drawn(recording)
        rows = [drawn.row(edge) for edge in drawn.edges]
        if not rows:
            return None
        return Table(
            "map_edges",
            pd.DataFrame(rows),
            "The gradient along each edge between two operations.",
            how=(
                "Energy: mean squared norm per sample of the gradient along the edge, of the summed loss; measured "
                "there, or derived exactly (a concatenation's is the sum of its inputs'). Otherwise (measured: no) it "
                "is taken from the nearest known edge towards the input, after operations with one input and one "
                "reader, or empty. Share: of the energy at its fork, else at its split, mean over seeds."
            ),
            units={"energy": "squared norm per sample", "share": "0 to 1"},
        )


def _operations(recording: Recording, drawn: Drawn) -> dict[int, dict[str, object]]:
    """Return the columns that come from the graph alone, by node."""
    plan = recording.plan
    names = site_names(plan.graph, plan.owners)
    blocks = blocks_of(plan, drawn.visible, drawn.pairs, names)
    groups = groups_of(plan, drawn.visible, drawn.pairs)
    sources, merges = _sites(plan, names)
    return {
        index: {
            "network": recording.name,
            "node": index,
            "site": names[index],
            "operation": plan.graph.nodes[index].operation,
            "module": plan.owners[index].module,
            "block": blocks[index],
            "group": groups[index],
            "stage": plan.stages[index],
            "depth": plan.graph.depths[index],
            "fork": "; ".join(sources.get(index, ())),
            "merge": "; ".join(merges.get(index, ())),
        }
        for index in drawn.visible
    }


def _measured(recording: Recording) -> dict[int, dict[str, object]]:
    """Return, by node, its signal, the similarity with other signals of its stage, and its size and rank."""
    flow = Flow()(recording)
    by_signal: dict[str, dict[str, object]] = {}
    if flow is not None:
        frame = flow.frame[flow.frame["role"] == "signal"]
        rows = frame[list(FLOW)].to_dict("records")
        by_signal = {
            str(name): {str(column): value for column, value in row.items()}
            for name, row in zip(frame["signal"], rows, strict=True)
        }
    similarities = _similarities(recording)
    return {
        node: {
            "signal": signal.name,
            **{alike_column(version): values[index] for version, values in similarities.items()},
            **by_signal.get(signal.name, {}),
        }
        for index, signal in enumerate(recording.signals)
        for node in signal.probe.nodes
    }


def _by_loss(recording: Recording) -> dict[str, dict[str, float]]:
    """Return, by signal, the share of each loss and the share of samples in which each pair of losses conflicts."""
    by_signal: dict[str, dict[str, float]] = defaultdict(dict)
    for analyzer, value in ((Ledger(), "share"), (Conflicts(), "conflict")):
        table = analyzer(recording)
        rows = [] if table is None else table.frame[table.frame["level"] == "signal"].to_dict("records")
        for row in rows:
            shared = f"{SHARE_OF}{row['loss']}" if "loss" in row else ""
            name = shared or f"{CONFLICT_OF}{row['loss_a']}{AND}{row['loss_b']}"
            by_signal[str(row["where"])][name] = float(row[value])
    return by_signal


def _similarities(recording: Recording) -> dict[Version, list[float]]:
    """Return the mean CKA of each signal with the other live signals of its stage, ``[l]`` by version."""
    if not recording.signals:
        return {}
    stages = [signals_of(recording, stage) for stage in stages_of(recording)]
    means = {}
    for version in VERSIONS:
        per_seed = []
        for similarity in seed_similarities(recording).values():
            matrix = similarity.versions[version].copy()
            np.fill_diagonal(matrix, np.nan)
            row = np.full(len(matrix), np.nan)
            for indices in stages:
                row[indices] = [_mean(matrix[index][indices]) for index in indices]
            per_seed.append(row)
        means[version] = [_mean(column) for column in np.array(per_seed).T]
    return means


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _layer_costs(recording: Recording) -> dict[int, dict[str, float]]:
    """Return FLOPs per image and parameters by weighted operation, for each call at its first operation.

    The parameters of a module that is called several times are those of its first call.
    """
    costs, graph = recording.costs, recording.plan.graph
    if costs is None:
        return {}
    first: dict[Owner, int] = {}
    for index in graph.forward_order:
        if graph.nodes[index].weighted:
            first.setdefault(recording.plan.owners[index], index)
    calls = costs.by_call.get("flops", {})
    parameters, layers = dict(costs.parameters), dict[int, dict[str, float]]()
    for owner, index in first.items():
        values = calls.get(owner.module) or [costs.flops.get(owner.module, 0)]
        flops = values[owner.call] if owner.call < len(values) else 0
        layers[index] = {
            "flops": flops / costs.samples,
            "parameters": float(parameters.pop(owner.module, 0)),
        }
    return layers


def _sites(plan: Plan, names: Sequence[str]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Return, by node, the forks and splits whose tensor it makes or cuts, and those whose branches it merges."""
    sources: dict[int, list[str]] = defaultdict(list)
    merges: dict[int, list[str]] = defaultdict(list)
    by_name = {name: index for index, name in enumerate(names)}
    for group in plan.groups:
        if group.where == "merge":
            continue
        sources[group.source[0]].append(group.site)
        cuts = [key.node for key in group.part_keys] if group.form in ("split", "slice") else []
        for cut in dict.fromkeys(cuts):
            sources[cut].append(group.site)
        if group.merge in by_name:
            merges[by_name[group.merge]].append(group.site)
    return sources, merges
