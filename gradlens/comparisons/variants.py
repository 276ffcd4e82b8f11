"""Variants of one network side by side: one row per variant, and each pair of them compared over seeds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd

from gradlens.analyzers.cost import Cost, Throughput
from gradlens.analyzers.duplication import Sizes, common_sizes
from gradlens.analyzers.replicates import batch_half_widths
from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import SIZES, names, units
from gradlens.comparisons.families import PAIRED_UNITS, TESTED, Difference, corrected, family, how_paired
from gradlens.comparisons.measures import add_measured
from gradlens.comparisons.summary import merged_stages, seed_metrics
from gradlens.metrics import mean_interval, p_of_half_widths
from gradlens.recording import Recording
from gradlens.results import Table

MEASURED = names("trajectory")
"""Metrics of each seed, which have intervals."""
FROM_GRAPH = names("strategies", fixed=True, cost=False)
COSTS = names("strategies", cost=True)


def variant_metrics(
    recording: Recording, scores: Mapping[int, Mapping[str, float]], sizes: Sizes
) -> pd.DataFrame:
    """Return ``MEASURED`` and ``SIZES`` of one variant, indexed by (stage, seed).

    Args:
        recording: of all seeds.
        scores: losses and accuracy by seed, by the name of the quantity; empty if not evaluated.
        sizes: from ``common_sizes`` of all variants.
    """
    frame = seed_metrics(recording, sizes)
    add_measured(frame, recording, "trajectory")
    for seed in recording.seeds:
        for name in names("trajectory", trained=True):
            frame.loc[(WHOLE, seed), name] = scores.get(seed, {}).get(name, np.nan)
    return frame


@dataclass(frozen=True)
class Variants:
    """Variants of one network measured on the same seeds.

    Attributes:
        recordings: one per variant, of the same seeds in the same order.
        scores: per variant, losses and accuracy by seed.
        level: coverage of the intervals.
        sizes: numbers of signals of the rarefied duplication, if they are common to further recordings; None takes
            those of these recordings.
    """

    recordings: Sequence[Recording]
    scores: Sequence[Mapping[int, Mapping[str, float]]]
    level: float = 0.95
    sizes: Sizes | None = None

    @cached_property
    def common(self) -> Sizes:
        """Numbers of signals of the rarefied duplication."""
        return common_sizes(self.recordings) if self.sizes is None else self.sizes

    @cached_property
    def _means(self) -> dict[tuple[str, tuple[tuple[int, int], ...]], pd.DataFrame]:
        """Means by stage of the subsets of batches measured so far, by variant and replicates."""
        return {}

    def values(self, recording: Recording, stages: Sequence[str]) -> dict[str, np.ndarray]:
        """Return ``MEASURED`` of a variant, ``[stages]`` by metric; each subset of batches is measured once."""
        key = recording.name, recording.replicates
        if key not in self._means:
            by_stage = variant_metrics(recording, {}, self.common).groupby(level="stage", sort=False)
            self._means[key] = by_stage.mean()
        means = self._means[key]
        return {metric: means[metric].reindex(list(stages)).to_numpy(float) for metric in MEASURED}

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return ``variant_metrics`` by the variant's name."""
        pairs = zip(self.recordings, self.scores, strict=True)
        return {
            recording.name: variant_metrics(recording, scores, self.common) for recording, scores in pairs
        }

    def rows(self, frames: Mapping[str, pd.DataFrame]) -> Table:
        """Return the table ``strategies``: means with their intervals over seeds, and costs."""
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
            _within_batches(frame, recording, stages, self)
        return Table(
            "strategies",
            frame,
            "Each transition strategy by stage and over the whole network, means over seeds.",
            how=(
                f"Means over seeds with {self.level:.0%} t intervals. Split and merge correlation: CKA (energy) "
                "between the bypass and the dense branch of each partial split, at the cut of the stage's input and "
                "at the concatenation of the branches. Costs as in the table of costs. Speed: median, lowest and "
                "highest of a few steps; the variants were timed one after another, so compare with care. The rarefied "
                "duplication D_m is over m signals; m is the least number of usable signals of the stage over all "
                "networks and seeds of the table."
            ),
            units=units("strategies"),
        )

    def _row(
        self, name: str, stage: str, seeds: pd.DataFrame, costs: Mapping[str, dict[str, float]]
    ) -> dict[str, object]:
        row: dict[str, object] = {"network": name, "stage": stage, "signals": seeds["signals"].mean()}
        row |= {column: seeds[column].iloc[0] for column in SIZES}
        for metric in MEASURED:
            mean, low, high = mean_interval(seeds[metric].to_numpy(dtype=float), self.level)
            row |= {metric: mean, f"{metric}_low": low, f"{metric}_high": high}
        return row | {metric: seeds[metric].mean() for metric in FROM_GRAPH} | costs.get(stage, {})

    def over_batches(self, rows: Sequence[Difference]) -> list[Difference]:
        """Return the rows; for a single seed, with intervals over its batches."""
        recordings = {recording.name: recording for recording in self.recordings}
        stages = list(dict.fromkeys(row["stage"] for row in rows))

        def measure(first: Recording, second: Recording) -> dict[str, np.ndarray]:
            a, b = (self.values(recording, stages) for recording in (first, second))
            return {metric: b[metric] - a[metric] for metric in TESTED}

        widths = {
            (a, b): batch_half_widths(measure, recordings[a], recordings[b], level=self.level)
            for a, b in dict.fromkeys((row["a"], row["b"]) for row in rows)
        }
        completed = []
        for row in rows:
            by_metric = widths[row["a"], row["b"]]
            if by_metric:
                half = float(by_metric[row["metric"]][stages.index(row["stage"])])
                count = len(self.recordings[0].replicates)
                p = float(p_of_half_widths(np.array(row["difference"]), np.array(half), count, self.level))
                row = {**row, "low": row["difference"] - half, "high": row["difference"] + half, "p": p}
            completed.append(row)
        return completed

    def differences(self, frames: Mapping[str, pd.DataFrame]) -> Table:
        """Return the differences of each pair of variants by stage and metric, paired over seeds, corrected by Holm."""
        rows: list[Difference] = []
        for stage in merged_stages(frames.values()):
            rows += family(frames, stage, list(itertools.combinations(frames, 2)), self.level)
        return Table(
            "differences",
            pd.DataFrame(corrected(self.over_batches(rows))),
            "Paired differences of each pair of strategies, b minus a.",
            how=how_paired(self.level, "pairs and metrics"),
            units=PAIRED_UNITS,
        )


def _within_batches(
    frame: pd.DataFrame, recording: Recording, stages: Sequence[str], variants: Variants
) -> None:
    """For a single seed, replace the intervals of a variant by those over its batches."""
    measure = partial(variants.values, stages=stages)
    widths = batch_half_widths(measure, recording, level=variants.level)
    rows = (frame["network"] == recording.name).to_numpy()
    for metric, values in widths.items():
        if f"{metric}_low" in frame:
            by_stage = pd.Series(values, index=list(stages)).reindex(frame.loc[rows, "stage"]).to_numpy()
            for side, sign in (("low", -1), ("high", 1)):
                frame.loc[rows, f"{metric}_{side}"] = (
                    frame.loc[rows, metric].to_numpy(float) + sign * by_stage
                )


def _costs(recording: Recording) -> dict[str, dict[str, float]]:
    """Return the costs by stage, with the measured speed of the whole network."""
    costs: dict[str, dict[str, float]] = {}
    cost, speed = Cost()(recording), Throughput()(recording)
    if cost is not None:
        for row in cost.frame.to_dict("records"):
            costs[str(row["stage"])] = {name: float(row[name]) for name in COSTS}
    if speed is not None and WHOLE in costs:
        both = speed.frame[speed.frame["pass"] != "forward"]
        for name, column in (("", "images_per_second"), ("_low", "low"), ("_high", "high")):
            costs[WHOLE][f"images_per_second{name}"] = float(both[column].iloc[-1])
    return costs


def _without_empty(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame without the columns of metrics that no row has; an interval stays with its metric."""
    empty = [metric for metric in MEASURED if metric in frame and frame[metric].isna().all()]
    return frame.drop(columns=[f"{metric}{part}" for metric in empty for part in ("", "_low", "_high")])
