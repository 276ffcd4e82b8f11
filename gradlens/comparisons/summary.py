"""The main numbers of a network, one row per stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from gradlens.analyzers.cost import Cost
from gradlens.analyzers.duplication import Duplication, Sizes, common_sizes
from gradlens.analyzers.replicates import batch_half_widths
from gradlens.analyzers.signals import WHOLE, stages_of
from gradlens.catalogue import SIZES, names, quantities_with, units
from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS
from gradlens.comparisons.measures import add_fixed, add_measured
from gradlens.graph.stage_order import in_order
from gradlens.metrics import half_widths
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

VARYING = names("comparison", fixed=False)
"""The compared metrics that differ between seeds."""
MEASURED = tuple(dict.fromkeys([*VARYING, *names("summary", fixed=False)]))
"""Metrics that differ between seeds, compared or not."""
WITH_INTERVAL = names("summary", with_interval=True)
"""Metrics with an interval in the summary of one network."""
COUNTED = names("summary", cost=True)
"""Metrics from the table of costs."""


def seed_metrics(recording: Recording, sizes: Sizes | None = None) -> pd.DataFrame:
    """Return the metrics of the comparison, ``n_eff``, ``signals`` and ``SIZES``, indexed by (stage, seed).

    Args:
        recording: of all seeds.
        sizes: from ``common_sizes`` of all networks side by side; None takes those of the recording.
    """
    stages = in_order([*stages_of(recording), *_group_stages(recording), WHOLE])
    frame = _measured(recording, stages, common_sizes([recording]) if sizes is None else sizes)
    add_fixed(frame, recording, "summary")
    cost = Cost()(recording)
    for name in COUNTED:
        column = {} if cost is None else dict(zip(cost.frame["stage"], cost.frame[name], strict=True))
        frame[name] = [column.get(stage, np.nan) for stage, _ in frame.index]
    return frame


def _measured(recording: Recording, stages: list[str], sizes: Sizes) -> pd.DataFrame:
    """Return the metrics that vary over seeds, ``MEASURED``, and ``SIZES``, indexed by (stage, seed)."""
    frame = pd.DataFrame(index=pd.MultiIndex.from_product([stages, recording.seeds], names=["stage", "seed"]))
    _add_duplication(frame, recording, sizes)
    for column in SIZES:
        frame[column] = [sizes_of(stage, sizes)[column] for stage, _ in frame.index]
    add_measured(frame, recording, "summary")
    return frame


def sizes_of(stage: str, sizes: Sizes) -> dict[str, float]:
    """Return the columns ``SIZES`` of a stage; NaN where it has no duplication."""
    labels = (ENERGY.label, ENERGY_GIVEN_LOSS.label)
    return {column: sizes.get((stage, label), np.nan) for column, label in zip(SIZES, labels, strict=True)}


def _add_duplication(frame: pd.DataFrame, recording: Recording, sizes: Sizes) -> None:
    """Add the columns that come from the table ``duplication``."""
    values = pd.DataFrame(columns=["version"])
    if recording.signals:
        values = Duplication(sizes=sizes).values(recording).set_index(["stage", "seed"])
    for quantity in quantities_with("comparison"):
        if quantity.version:
            rows = values[values["version"] == quantity.version.label]
            column = "mean_similarity" if quantity.mean else "rarefied_duplication"
            frame[quantity.name] = rows[column] if len(rows) else np.nan
    energy = values[values["version"] == ENERGY.label]
    for name, column in (("n_eff", "n_eff"), ("dead_signals", "dead"), ("signals", "signals")):
        frame[name] = energy[column] if len(energy) else np.nan


def _group_stages(recording: Recording) -> list[str]:
    return [group.stage for group in recording.plan.network_groups.values() if group.where != "merge"]


@dataclass(frozen=True)
class Summary:
    """One network, one row per stage, means over seeds."""

    def __call__(self, recording: Recording) -> Table:
        """Return the table."""
        sizes = common_sizes([recording])
        values = seed_metrics(recording, sizes)
        means = values.groupby(level="stage", sort=False).mean()
        frame = means.reset_index()[["stage", *SIZES, *names("summary")]]
        stages = list(frame["stage"])
        by_seed = [values.xs(seed, level="seed").reindex(stages) for seed in recording.seeds]
        widths = {
            metric: half_widths(np.stack([seed[metric].to_numpy(float) for seed in by_seed]))
            for metric in WITH_INTERVAL
        }
        widths |= batch_half_widths(partial(by_stage, stages=stages, sizes=sizes), recording)
        for metric in WITH_INTERVAL:
            frame[f"{metric}_low"] = frame[metric] - widths[metric]
            frame[f"{metric}_high"] = frame[metric] + widths[metric]
        frame.insert(0, "network", recording.name)
        return Table(
            "summary",
            frame,
            "The network by stage (output stride), means over seeds.",
            how=(
                f"From the tables below; low and high: 95 % t interval over {recording.noise or 'seeds'}; branch "
                "correlation is the mean CKA (energy) between branches. D_m is over m signals; "
                "m is the least number of usable signals of the stage over the seeds."
            ),
            units=units("summary"),
        )


def by_stage(recording: Recording, stages: list[str], sizes: Sizes) -> dict[str, Array]:
    """Return the metrics that vary, ``[stages]``, of one seed."""
    means = _measured(recording, stages, sizes).groupby(level="stage", sort=False).mean()
    return {metric: means[metric].reindex(stages).to_numpy(float) for metric in MEASURED}


def merged_stages(frames: Iterable[pd.DataFrame]) -> list[str]:
    """Return the stages of several networks in the order of tables.

    Args:
        frames: of ``seed_metrics``.
    """
    return in_order(stage for frame in frames for stage in frame.index.get_level_values("stage"))
