"""Captions of figures: one sentence each, computed from the table."""

from __future__ import annotations

import pandas as pd

from gradlens.report import captions_of_losses as losses
from gradlens.report import captions_of_paths as paths
from gradlens.report import captions_of_runs as runs
from gradlens.report import captions_of_signals as signals
from gradlens.report import captions_of_steps as steps
from gradlens.report import captions_of_watched as watched
from gradlens.report.clauses import Caption, per_network

CAPTIONS: dict[str, Caption] = {
    "networks": runs.strategies,
    "contrasts": runs.differences,
    "effects": runs.effects,
    "strategies": runs.strategies,
    "differences": runs.differences,
    "trajectory": runs.trajectory,
    "stages_along": watched.stages,
    "branches_along": watched.branches,
    "alarms": watched.alarms,
    "learning": runs.learning,
    "duplication": per_network(signals.duplication),
    "rarefaction": per_network(signals.rarefaction),
    "lags": per_network(signals.lags),
    "correlation": per_network(signals.correlation),
    "cross": signals.cross,
    "branches": per_network(paths.branches),
    "shares": per_network(paths.shares),
    "flow": per_network(signals.flow),
    "losses": per_network(losses.ledger),
    "conflicts": per_network(losses.conflicts),
    "duplication_by_loss": per_network(losses.duplication),
    "efficiency": losses.efficiency,
    "times": per_network(steps.times),
    "reuse": per_network(paths.reuse),
    "structure": per_network(paths.structure),
    "paths": per_network(paths.paths),
    "path_lengths": per_network(paths.path_lengths),
    "cost": per_network(runs.cost),
    "throughput": per_network(runs.throughput),
    "exactness": runs.exactness,
}
"""By table; figures of other tables have no caption."""


def caption(name: str, frame: pd.DataFrame) -> str:
    """Return the caption of the figure of table ``name``; empty if the table has no caption or no rows."""
    return CAPTIONS[name](frame) if name in CAPTIONS and not frame.empty else ""
