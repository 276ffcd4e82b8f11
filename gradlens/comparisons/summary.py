"""The main numbers of a network, or of two, one row per stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from gradlens.analyzers.cost import Cost
from gradlens.analyzers.duplication import Duplication
from gradlens.analyzers.remembering import cached_by_recording
from gradlens.analyzers.replicates import batch_half_widths
from gradlens.analyzers.signals import WHOLE, stages_of
from gradlens.catalogue import names, quantities_with, units
from gradlens.catalogue.versions import ENERGY
from gradlens.comparisons.measures import add_fixed, add_measured
from gradlens.metrics import half_widths, mean_interval
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

COMPARED = names("comparison")
"""Metrics that are compared between two networks."""
VARYING = names("comparison", fixed=False)
"""The compared metrics that differ between seeds."""
FIXED = names("comparison", fixed=True)
"""The compared metrics that are the same for every seed."""
WITH_INTERVAL = names("summary", with_interval=True)
"""Metrics with an interval in the summary of one network."""
COUNTED = names("summary", cost=True)
"""Metrics from the table of costs."""


def seed_metrics(recording: Recording) -> pd.DataFrame:
    """Return the metrics ``COMPARED`` and ``signals``, indexed by (stage, seed)."""
    return _seed_metrics(recording).copy()


@cached_by_recording
def _seed_metrics(recording: Recording) -> pd.DataFrame:
    stages = list(dict.fromkeys([*stages_of(recording), *_group_stages(recording), WHOLE]))
    frame = _measured(recording, stages)
    add_fixed(frame, recording, "summary")
    cost = Cost()(recording)
    for name in COUNTED:
        column = {} if cost is None else dict(zip(cost.frame["stage"], cost.frame[name], strict=True))
        frame[name] = [column.get(stage, np.nan) for stage, _ in frame.index]
    return frame


def _measured(recording: Recording, stages: list[str]) -> pd.DataFrame:
    """Return the metrics that vary over seeds, ``VARYING`` and ``signals``, indexed by (stage, seed)."""
    frame = pd.DataFrame(index=pd.MultiIndex.from_product([stages, recording.seeds], names=["stage", "seed"]))
    _add_duplication(frame, recording)
    add_measured(frame, recording, "summary")
    return frame


def _add_duplication(frame: pd.DataFrame, recording: Recording) -> None:
    """Add the columns that come from the table ``duplication``."""
    values = pd.DataFrame(columns=["version"])
    if recording.signals:
        values = Duplication().values(recording).set_index(["stage", "seed"])
    for quantity in quantities_with("comparison"):
        if quantity.version:
            rows = values[values["version"] == quantity.version.label]
            frame[quantity.name] = rows["duplication"] if len(rows) else np.nan
    energy = values[values["version"] == ENERGY.label]
    for name, column in (("n_eff_share", "n_eff_share"), ("dead_signals", "dead"), ("signals", "signals")):
        frame[name] = energy[column] if len(energy) else np.nan


def _group_stages(recording: Recording) -> list[str]:
    return [group.stage for group in recording.plan.groups if group.where != "merge"]


@dataclass(frozen=True)
class Summary:
    """One network, one row per stage, means over seeds."""

    def __call__(self, recording: Recording) -> Table:
        """Return the table."""
        values = seed_metrics(recording)
        means = values.groupby(level="stage", sort=False).mean()
        frame = means.reset_index()[["stage", *names("summary")]]
        stages = list(frame["stage"])
        by_seed = [values.xs(seed, level="seed").reindex(stages) for seed in recording.seeds]
        widths = {
            metric: half_widths(np.stack([seed[metric].to_numpy(float) for seed in by_seed]))
            for metric in WITH_INTERVAL
        }
        widths |= batch_half_widths(partial(_by_stage, stages=stages), recording)
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
                "correlation is the mean CKA (energy) between branches."
            ),
            units=units("summary"),
        )


@dataclass(frozen=True)
class Comparison:
    """Two networks side by side, one row per stage, with the paired difference over seeds.

    Attributes:
        level: coverage of the t interval of the difference.
    """

    level: float = 0.95

    def __call__(self, first: Recording, second: Recording) -> Table:
        """Return the table; columns ``<metric>_a``, ``_b``, ``_difference`` (b − a), ``_low``, ``_high``."""
        a, b = seed_metrics(first), seed_metrics(second)
        stages = _merged(_stage_list(a), _stage_list(b))
        widths = batch_half_widths(partial(_differences, stages=stages), first, second, level=self.level)
        rows = []
        for index, stage in enumerate(stages):
            row: dict[str, object] = {"stage": stage}
            for metric in COMPARED:
                half = widths[metric][index] if metric in widths else None
                row |= self._cells(metric, _values(a, stage, metric), _values(b, stage, metric), half)
            rows.append(row)
        means = "Values of one seed" if len(first.seeds) == 1 else "Means over seeds"
        return Table(
            "comparison",
            pd.DataFrame(rows),
            f"{first.name} (a) and {second.name} (b) by stage; difference b − a, paired by seed.",
            how=(
                f"{means}; {self.level:.0%} t interval of the paired differences over {first.noise or 'seeds'} "
                "(both networks see the same samples in the same order); pairs with "
                "an undefined value are left out. Costs and counts that do not vary over seeds have no interval."
            ),
            units=units("comparison"),
        )

    def _cells(
        self, metric: str, left: pd.Series[float], right: pd.Series[float], half_width: float | None
    ) -> dict[str, float]:
        """Return the columns of one metric; ``half_width`` is the half-width over batches, or None."""
        pairs = (right - left).dropna().tolist() if len(left) and len(right) else []
        mean, low, high = mean_interval(np.array(pairs, dtype=np.float64), self.level)
        if metric in FIXED:
            low = high = np.nan
        if half_width is not None:
            low, high = mean - half_width, mean + half_width
        return {
            f"{metric}_a": left.mean(),
            f"{metric}_b": right.mean(),
            f"{metric}_difference": mean,
            f"{metric}_low": low,
            f"{metric}_high": high,
        }


def _by_stage(recording: Recording, stages: list[str]) -> dict[str, Array]:
    """Return the metrics that vary, ``[stages]``, of one seed."""
    means = _measured(recording, stages).groupby(level="stage", sort=False).mean()
    return {metric: means[metric].reindex(stages).to_numpy(float) for metric in VARYING}


def _differences(first: Recording, second: Recording, stages: list[str]) -> dict[str, Array]:
    a, b = _by_stage(first, stages), _by_stage(second, stages)
    return {metric: b[metric] - a[metric] for metric in VARYING}


def _values(frame: pd.DataFrame, stage: str, metric: str) -> pd.Series[float]:
    """Return a metric of a stage in each seed; empty if the network lacks the stage."""
    if stage not in frame.index.get_level_values("stage"):
        return pd.Series(dtype=float)
    return frame[metric].xs(stage, level="stage").astype(float)


def merged_stages(frames: Iterable[pd.DataFrame]) -> list[str]:
    """Return the stages of several networks in one order.

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
    """Return the stages of both: by output stride, then the others in order, then the head and the whole."""
    stages = dict.fromkeys([*first, *second])
    strides = sorted((stage for stage in stages if stage.isdigit()), key=int)
    last = [stage for stage in ("head", WHOLE) if stage in stages]
    return [*strides, *(s for s in stages if s not in strides and s not in last), *last]
