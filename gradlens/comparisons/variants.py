"""Variants of one network side by side: a row a variant, and every two of them paired over seeds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.cost import Cost, Throughput
from gradlens.analyzers.replicates import batch_reach, mean_known
from gradlens.analyzers.signals import WHOLE
from gradlens.analyzers.similarity import similarity
from gradlens.catalogue import names, quantities, units
from gradlens.comparisons.families import TESTED, family
from gradlens.comparisons.summary import merged_stages, seed_metrics
from gradlens.metrics import association, mean_interval
from gradlens.recording import Recording
from gradlens.results import Table

MEASURED = names("trajectory")
"""Metrics of each seed, which have intervals."""
FROM_GRAPH = names("strategies", fixed=True, cost=False)
COSTS = names("strategies", cost=True)
WAYS = {"split_correlation": "split", "merge_correlation": "merge"}


def variant_metrics(recording: Recording, scores: Mapping[int, tuple[float, float]]) -> pd.DataFrame:
    """``MEASURED`` of one variant, indexed by (stage, seed).

    Args:
        recording: of every seed.
        scores: by seed, held-out (loss, accuracy); empty where not evaluated.
    """
    frame = seed_metrics(recording)
    for seed in recording.seeds:
        own = recording.of_seed(seed)
        for name, where in WAYS.items():
            found = _between_ways(own, where)
            for stage in frame.index.get_level_values("stage").unique():
                frame.loc[(stage, seed), name] = found.get(stage, np.nan)
        loss, accuracy = scores.get(seed, (np.nan, np.nan))
        frame.loc[(WHOLE, seed), ["loss", "accuracy"]] = loss, accuracy
    return frame


def _between_ways(recording: Recording, where: str) -> dict[str, float]:
    """CKA (energy) of bypass and dense way by stage, at the split or at the merge, of one seed."""
    found: dict[str, list[float]] = {}
    for group in recording.plan.groups:
        ways = [place for place, label in enumerate(group.labels) if label in ("bypass", "dense")]
        if group.where == where and len(ways) == 2:
            matrix = similarity(recording.member_grams(group), None).versions["energy"]
            found.setdefault(group.stage, []).append(float(matrix[ways[0], ways[1]]))
    every = {**found, WHOLE: [value for own in found.values() for value in own]} if found else {}
    return {stage: float(mean_known(np.array(own))) for stage, own in every.items()}


def variant_values(recording: Recording, stages: Sequence[str]) -> dict[str, np.ndarray]:
    """``MEASURED`` of one seed, ``[stages]`` by metric."""
    found = variant_metrics(recording, {}).groupby(level="stage", sort=False).mean()
    return {metric: found[metric].reindex(list(stages)).to_numpy(float) for metric in MEASURED}


@dataclass(frozen=True)
class Variants:
    """Variants of one network measured on the same seeds.

    Attributes:
        recordings: one a variant, of the same seeds in the same order.
        scores: a variant, by seed, held-out (loss, accuracy).
        level: coverage of the intervals.
    """

    recordings: Sequence[Recording]
    scores: Sequence[Mapping[int, tuple[float, float]]]
    level: float = 0.95

    def frames(self) -> dict[str, pd.DataFrame]:
        """``variant_metrics`` by the variant's name."""
        pairs = zip(self.recordings, self.scores, strict=True)
        return {recording.name: variant_metrics(recording, scores) for recording, scores in pairs}

    def rows(self, frames: Mapping[str, pd.DataFrame]) -> Table:
        """A row a stage and variant: means with their intervals over seeds, and costs."""
        costs = {recording.name: _costs(recording) for recording in self.recordings}
        stages = merged_stages(frames.values())
        rows = [
            self._row(name, stage, frame.loc[[stage]], costs[name])
            for stage in stages
            for name, frame in frames.items()
            if stage in frame.index.get_level_values("stage")
        ]
        frame = _without_empty(pd.DataFrame(rows))
        for recording in self.recordings:
            _within_batches(frame, recording, stages, self.level)
        return Table(
            "strategies",
            frame,
            "Each transition strategy by stage and over the whole network, means over seeds.",
            how=(
                f"Means over seeds with {self.level:.0%} t intervals. Split and merge correlation: CKA (energy) "
                "between the bypass and the dense way of each partial split, where the stage's input is cut and "
                "where the ways are concatenated. Costs as in the table of costs. Speed: median, lowest and highest "
                "of a few steps, each variant timed by itself after the other: compare with care."
            ),
            units=units("strategies"),
        )

    def _row(
        self, name: str, stage: str, own: pd.DataFrame, costs: Mapping[str, dict[str, float]]
    ) -> dict[str, Any]:
        row: dict[str, Any] = {"network": name, "stage": stage, "signals": own["signals"].mean()}
        for metric in MEASURED:
            mean, low, high = mean_interval(own[metric].to_numpy(dtype=float), self.level)
            row |= {metric: mean, f"{metric}_low": low, f"{metric}_high": high}
        return row | {metric: own[metric].mean() for metric in FROM_GRAPH} | costs.get(stage, {})

    def over_batches(self, rows: Sequence[dict[str, Any]]) -> None:
        """Intervals of differences of one seed, over its batches; without a p-value."""
        known = {recording.name: recording for recording in self.recordings}
        stages = list(dict.fromkeys(row["stage"] for row in rows))

        def measure(first: Recording, second: Recording) -> dict[str, np.ndarray]:
            a, b = variant_values(first, stages), variant_values(second, stages)
            return {metric: b[metric] - a[metric] for metric in TESTED}

        reach = {
            pair: batch_reach(measure, *(known[name] for name in pair), level=self.level)
            for pair in dict.fromkeys((row["a"], row["b"]) for row in rows)
        }
        for row in rows:
            found = reach[row["a"], row["b"]]
            if found:
                half = float(found[row["metric"]][stages.index(row["stage"])])
                row["low"], row["high"] = row["difference"] - half, row["difference"] + half

    def differences(self, frames: Mapping[str, pd.DataFrame]) -> Table:
        """Every two variants, a row a stage and metric: paired over seeds, corrected by Holm."""
        rows: list[dict[str, Any]] = []
        for stage in merged_stages(frames.values()):
            rows += family(frames, stage, list(itertools.combinations(frames, 2)), self.level)
        self.over_batches(rows)
        return Table(
            "differences",
            pd.DataFrame(rows),
            "Paired differences between every two strategies, b minus a.",
            how=(
                f"Over seeds, which set the weights and the samples alike for all: mean difference with its "
                f"{self.level:.0%} t interval; p of the paired t test; p_holm: corrected (Holm 1979) over all "
                "pairs and metrics of the same stage; p_permutation: all sign flips of the differences, which "
                "with s seeds cannot fall below 2 / 2^s."
            ),
            units={"difference": "b - a", "p": "two-sided", "p_holm": "two-sided, corrected"},
        )


def _within_batches(frame: pd.DataFrame, recording: Recording, stages: Sequence[str], level: float) -> None:
    """Intervals of a variant of one seed, over its batches."""
    reach = batch_reach(partial(variant_values, stages=stages), recording, level=level)
    own = (frame["network"] == recording.name).to_numpy()
    for metric, values in reach.items():
        if f"{metric}_low" in frame:
            by_stage = pd.Series(values, index=list(stages)).reindex(frame.loc[own, "stage"]).to_numpy()
            for side, sign in (("low", -1), ("high", 1)):
                frame.loc[own, f"{metric}_{side}"] = frame.loc[own, metric].to_numpy(float) + sign * by_stage


def _costs(recording: Recording) -> dict[str, dict[str, float]]:
    """Costs by stage, with the measured speed of the whole."""
    found: dict[str, dict[str, float]] = {}
    cost, speed = Cost()(recording), Throughput()(recording)
    if cost is not None:
        for row in cost.frame.to_dict("records"):
            found[str(row["stage"])] = {name: float(row[name]) for name in COSTS}
    if speed is not None and WHOLE in found:
        both = speed.frame[speed.frame["pass"] != "forward"]
        for name, column in (("", "images_per_second"), ("_low", "low"), ("_high", "high")):
            found[WHOLE][f"images_per_second{name}"] = float(both[column].iloc[-1])
    return found


def _without_empty(frame: pd.DataFrame) -> pd.DataFrame:
    """Without the columns of metrics that no row has; an interval stays with its metric."""
    empty = [metric for metric in MEASURED if metric in frame and frame[metric].isna().all()]
    return frame.drop(columns=[f"{metric}{part}" for metric in empty for part in ("", "_low", "_high")])


def trajectory(steps: Mapping[int, Mapping[str, pd.DataFrame]]) -> Table:
    """The whole network's numbers along the training, a row a step, seed and variant.

    Args:
        steps: by number of updates, ``Variants.frames()`` at that step.
    """
    rows = []
    for step, frames in steps.items():
        for name, frame in frames.items():
            whole = frame.xs(WHOLE, level="stage")
            for seed, row in whole.iterrows():
                rows.append({"network": name, "seed": seed, "step": step, **row[list(MEASURED)].to_dict()})
    return Table(
        "trajectory",
        pd.DataFrame(rows).dropna(axis="columns", how="all"),
        "The whole network along the training.",
        how="Measured on the same batches at each step; loss and accuracy on held-out samples.",
        units=units("trajectory"),
    )


def learning(frames: Mapping[str, pd.DataFrame]) -> Table | None:
    """Does duplication go with accuracy? Over all variants and seeds, and within each seed."""
    runs = pd.concat([frame.xs(WHOLE, level="stage") for frame in frames.values()], keys=list(frames))
    runs = runs[list(MEASURED)].astype(float)
    if runs["accuracy"].isna().all():
        return None
    within = runs - runs.groupby(level=1).transform("mean")
    rows = []
    for metric in (quantity.name for quantity in quantities("trajectory") if quantity.version):
        for over, frame in (("strategies and seeds", runs), ("strategies within a seed", within)):
            for kind in ("pearson", "spearman"):
                found = association(frame[metric].to_numpy(), frame["accuracy"].to_numpy(), kind)
                rows.append(
                    {
                        "metric": metric,
                        "over": over,
                        "coefficient": kind,
                        "runs": len(frame),
                        **found._asdict(),
                    }
                )
    return Table(
        "learning",
        pd.DataFrame(rows),
        "Correlation of duplication with held-out accuracy after training.",
        how=(
            "Pearson with Fisher's 95 % interval, Spearman with that of Bonett & Wright (2000); within a "
            "seed: the seed's means taken out of both first. Runs of one seed share samples, so the runs are "
            "not independent and the intervals over all of them are too narrow."
        ),
        units={"value": "-1 to 1"},
    )
