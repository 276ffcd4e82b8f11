"""One row a stage: the numbers a reader compares first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.cost import Cost
from gradlens.analyzers.duplication import Duplication
from gradlens.analyzers.flow import flow_slope
from gradlens.analyzers.paths import structural_duplication
from gradlens.analyzers.replicates import batch_reach
from gradlens.analyzers.signals import WHOLE, stages_of
from gradlens.analyzers.similarity import similarity
from gradlens.catalogue import names, quantities, units
from gradlens.metrics import half_widths, mean_interval
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

COMPARED = names("comparison")
"""Metrics that two networks are compared in."""
VARYING = names("comparison", fixed=False)
"""Those of them that differ between seeds."""
FIXED = names("comparison", fixed=True)
"""Those of them that are of the network alone, the same for every seed."""
WITH_INTERVAL = names("summary", with_interval=True)
"""Metrics whose interval is in the summary of one network."""
COUNTED = names("summary", cost=True)
"""Metrics from the table of costs."""


def seed_metrics(recording: Recording) -> pd.DataFrame:
    """``COMPARED`` and ``signals`` of each seed and stage; indexed by (stage, seed)."""
    stages = list(dict.fromkeys([*stages_of(recording), *_group_stages(recording), WHOLE]))
    frame = _measured(recording, stages)
    structural = structural_duplication(recording)
    frame["structural_duplication"] = [structural.get(stage, np.nan) for stage, _ in frame.index]
    cost = Cost()(recording)
    for name in COUNTED:
        column = {} if cost is None else dict(zip(cost.frame["stage"], cost.frame[name], strict=True))
        frame[name] = [column.get(stage, np.nan) for stage, _ in frame.index]
    return frame


def _measured(recording: Recording, stages: list[str]) -> pd.DataFrame:
    """What varies over seeds, ``VARYING`` and ``signals``; indexed by (stage, seed)."""
    frame = pd.DataFrame(index=pd.MultiIndex.from_product([stages, recording.seeds], names=["stage", "seed"]))
    _add_duplication(frame, recording)
    for seed in recording.seeds:
        own = recording.of_seed(seed)
        correlation = _branch_correlation(own)
        for stage in stages:
            frame.loc[(stage, seed), "branch_correlation"] = correlation.get(stage, np.nan)
            frame.loc[(stage, seed), "flow_slope"] = flow_slope(own, stage)
    return frame


def _add_duplication(frame: pd.DataFrame, recording: Recording) -> None:
    empty = pd.DataFrame(columns=["version"])
    found = Duplication().values(recording).set_index(["stage", "seed"]) if recording.plan.signals else empty
    for quantity in quantities("comparison"):
        if quantity.version:
            own = found[found["version"] == quantity.version]
            frame[quantity.name] = own["duplication"] if len(own) else np.nan
    energy = found[found["version"] == "energy"]
    for name, column in (("n_eff_share", "n_eff_share"), ("dead_signals", "dead"), ("signals", "signals")):
        frame[name] = energy[column] if len(energy) else np.nan


def _group_stages(recording: Recording) -> list[str]:
    return [group.stage for group in recording.plan.groups if group.where != "merge"]


def _branch_correlation(recording: Recording) -> dict[str, float]:
    """Mean CKA (energy) between branches by stage, of one seed; merges are left out: likeness can be built in."""
    found: dict[str, list[float]] = {}
    for group in recording.plan.groups:
        if group.where != "merge":
            matrix = similarity(recording.member_grams(group), None).versions["energy"]
            own = matrix[np.triu_indices(len(matrix), k=1)]
            found.setdefault(group.stage, []).extend(own[np.isfinite(own)].tolist())
    found[WHOLE] = [value for own in found.values() for value in own]
    return {stage: float(np.mean(own)) if own else np.nan for stage, own in found.items()}


@dataclass(frozen=True)
class Summary:
    """One network, a row a stage, means over seeds."""

    def __call__(self, recording: Recording) -> Table:
        """The table."""
        found = seed_metrics(recording)
        means = found.groupby(level="stage", sort=False).mean()
        frame = means.reset_index()[["stage", *names("summary")]]
        stages = list(frame["stage"])
        by_seed = [found.xs(seed, level="seed").reindex(stages) for seed in recording.seeds]
        reach = {
            metric: half_widths(np.stack([own[metric].to_numpy(float) for own in by_seed]))
            for metric in WITH_INTERVAL
        }
        reach |= batch_reach(partial(_by_stage, stages=stages), recording)
        for metric in WITH_INTERVAL:
            frame[f"{metric}_low"] = frame[metric] - reach[metric]
            frame[f"{metric}_high"] = frame[metric] + reach[metric]
        frame.insert(0, "network", recording.name)
        return Table(
            "summary",
            frame,
            "The network by stage (output stride), means over seeds.",
            how=(
                f"From the tables below; low and high: 95 % t interval over {recording.noise or 'seeds'}; branch "
                "correlation is the mean CKA (energy) between branches."
            ),
            units=units("summary"),
        )


@dataclass(frozen=True)
class Comparison:
    """Two networks side by side, a row a stage, with the paired difference over seeds.

    Attributes:
        level: coverage of the t interval of the difference.
    """

    level: float = 0.95

    def __call__(self, first: Recording, second: Recording) -> Table:
        """The table; columns ``<metric>_a``, ``_b``, ``_difference`` (b − a), ``_low``, ``_high``."""
        a, b = seed_metrics(first), seed_metrics(second)
        stages = _merged(_stage_list(a), _stage_list(b))
        rows = [self._row(a, b, stage) for stage in stages]
        reach = batch_reach(partial(_differences, stages=stages), first, second, level=self.level)
        for place, row in enumerate(rows):
            for metric, values in reach.items():
                row[f"{metric}_low"] = row[f"{metric}_difference"] - values[place]
                row[f"{metric}_high"] = row[f"{metric}_difference"] + values[place]
        return Table(
            "comparison",
            pd.DataFrame(rows),
            f"{first.name} (a) and {second.name} (b) by stage; difference b − a, paired by seed.",
            how=(
                f"{_over(first)}; {self.level:.0%} t interval of the paired differences over {first.noise or 'seeds'} "
                "(both networks see the same samples in the same order), without those in "
                "which either is undefined. Costs and counts that do not vary over seeds have no interval."
            ),
            units=units("comparison"),
        )

    def _row(self, a: pd.DataFrame, b: pd.DataFrame, stage: str) -> dict[str, Any]:
        row: dict[str, Any] = {"stage": stage}
        for metric in COMPARED:
            left, right = _values(a, stage, metric), _values(b, stage, metric)
            paired = (right - left).dropna().tolist() if len(left) and len(right) else []
            difference = mean_interval(np.array(paired, dtype=np.float64), self.level)
            varies = metric not in FIXED
            row |= {
                f"{metric}_a": left.mean(),
                f"{metric}_b": right.mean(),
                f"{metric}_difference": difference.mean,
                f"{metric}_low": difference.low if varies else np.nan,
                f"{metric}_high": difference.high if varies else np.nan,
            }
        return row


def _over(recording: Recording) -> str:
    return "Of one seed" if len(recording.seeds) == 1 else "Means over seeds"


def _by_stage(recording: Recording, stages: list[str]) -> dict[str, Array]:
    """Metrics that vary, ``[stages]``, of one seed."""
    found = _measured(recording, stages).groupby(level="stage", sort=False).mean()
    return {metric: found[metric].reindex(stages).to_numpy(float) for metric in VARYING}


def _differences(first: Recording, second: Recording, stages: list[str]) -> dict[str, Array]:
    a, b = _by_stage(first, stages), _by_stage(second, stages)
    return {metric: b[metric] - a[metric] for metric in VARYING}


def _values(frame: pd.DataFrame, stage: str, metric: str) -> pd.Series[float]:
    if stage not in frame.index.get_level_values("stage"):
        return pd.Series(dtype=float)
    return frame[metric].xs(stage, level="stage").astype(float)


def merged_stages(frames: Iterable[pd.DataFrame]) -> list[str]:
    """Stages of several networks in one order.

    Args:
        frames: of ``seed_metrics``.
    """
    stages: list[str] = []
    for frame in frames:
        stages = _merged(stages, _stage_list(frame))
    return stages


def _stage_list(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame.index.get_level_values("stage")))


def _merged(first: list[str], second: list[str]) -> list[str]:
    """Stages of both: by output stride, then the others in order, then the head and the whole."""
    every = dict.fromkeys([*first, *second])
    strides = sorted((stage for stage in every if stage.isdigit()), key=int)
    last = [stage for stage in ("head", WHOLE) if stage in every]
    return [*strides, *(s for s in every if s not in strides and s not in last), *last]
