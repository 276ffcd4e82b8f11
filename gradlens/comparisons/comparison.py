"""Two networks side by side, one row per stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from gradlens.analyzers.duplication import Sizes, common_sizes
from gradlens.analyzers.replicates import batch_half_widths
from gradlens.catalogue import CORRECTED, names, units
from gradlens.comparisons.summary import VARYING, by_stage, merged_stages, seed_metrics, sizes_of
from gradlens.metrics import half_widths, holm, p_of_half_widths
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

COMPARED = names("comparison")
"""Metrics that are compared between two networks."""
TESTED = names("comparison", tested=True)
"""The compared metrics with p-values."""


ByStage = Mapping[str, pd.DataFrame]
"""The metrics of a network in each seed, by stage."""


@dataclass(frozen=True)
class Comparison:
    """Two networks side by side, one row per stage, with the paired difference over seeds.

    Attributes:
        level: coverage of the t interval of the difference.
    """

    level: float = 0.95

    def __call__(self, first: Recording, second: Recording) -> Table:
        """Return the table.

        Its columns are ``<metric>_a``, ``_b``, ``_difference`` (b − a), ``_low``, ``_high``, ``_p_holm``.
        """
        sizes = common_sizes([first, second])
        frames = [seed_metrics(recording, sizes) for recording in (first, second)]
        stages = merged_stages(frames)
        a, b = (_by_stage(frame) for frame in frames)
        batches = batch_half_widths(
            partial(_differences, stages=stages, sizes=sizes), first, second, level=self.level
        )
        widths = {
            metric: batches.get(metric, _paired_half_widths(a, b, stages, metric, self.level))
            for metric in VARYING
        }
        rows = [
            {"stage": stage, **sizes_of(stage, sizes)}
            | {
                name: value
                for metric in COMPARED
                for name, value in self._cells(
                    metric, _values(a, stage, metric), _values(b, stage, metric), widths.get(metric), index
                ).items()
            }
            for index, stage in enumerate(stages)
        ]
        frame = pd.DataFrame(rows)
        counts: dict[str, Array] = {
            metric: np.asarray(_pairs(a, b, stages, metric).count(axis=1), float) for metric in TESTED
        }
        if batches:
            counts = dict.fromkeys(TESTED, np.full(len(stages), float(len(first.replicates))))
        _add_corrected(frame, counts, self.level)
        means = "Values of one seed" if len(first.seeds) == 1 else "Means over seeds"
        return Table(
            "comparison",
            frame,
            f"{first.name} (a) and {second.name} (b) by stage; difference b − a, paired by seed.",
            how=(
                f"{means}; {self.level:.0%} t interval of the paired differences over {first.noise or 'seeds'} "
                "(both networks see the same samples in the same order); pairs with "
                "an undefined value are left out. p_holm: two-sided p of the paired t test, corrected (Holm 1979) over "
                "all stages and tested quantities of this table. The rarefied duplication D_m is over m signals in "
                "both networks; m is the least number of usable signals of the stage over both and all seeds. Costs "
                "and counts that do not vary over seeds have no interval."
            ),
            units=units("comparison"),
        )

    def _cells(
        self,
        metric: str,
        left: pd.Series[float],
        right: pd.Series[float],
        half_widths: Array | None,
        index: int,
    ) -> dict[str, float]:
        """Return the columns of one metric at one stage; ``half_widths`` by stage, None without interval."""
        pairs = (right - left).dropna() if len(left) and len(right) else pd.Series(dtype=float)
        mean = pairs.mean() if len(pairs) else np.nan
        half = np.nan if half_widths is None else half_widths[index]
        return {
            f"{metric}_a": left.mean(),
            f"{metric}_b": right.mean(),
            f"{metric}_difference": mean,
            f"{metric}_low": mean - half,
            f"{metric}_high": mean + half,
        }


def _pairs(a: ByStage, b: ByStage, stages: list[str], metric: str) -> pd.DataFrame:
    """Return the paired differences of a metric, ``[stages, seeds]``."""
    rows = [(_values(b, stage, metric) - _values(a, stage, metric)) for stage in stages]
    return pd.DataFrame(dict(zip(stages, rows, strict=True))).T.reindex(stages)


def _paired_half_widths(a: ByStage, b: ByStage, stages: list[str], metric: str, level: float) -> Array:
    """Return the half-widths of the t intervals over seeds of the paired differences, ``[stages]``."""
    return half_widths(_pairs(a, b, stages, metric).to_numpy(float).T, level)


def _add_corrected(frame: pd.DataFrame, counts: Mapping[str, Array], level: float) -> None:
    """Add the p-values of the tested metrics, corrected over the whole table, in place.

    Args:
        frame: of the comparison.
        counts: number of replicates behind each interval, ``[stages]`` by metric.
        level: coverage of the intervals.
    """
    values = [
        p_of_half_widths(
            frame[f"{metric}_difference"].to_numpy(float),
            (frame[f"{metric}_difference"] - frame[f"{metric}_low"]).to_numpy(float),
            counts[metric],
            level,
        )
        for metric in TESTED
    ]
    corrected = np.reshape(holm(np.concatenate(values).tolist()), (len(TESTED), len(frame)))
    for metric, column in zip(TESTED, corrected, strict=True):
        frame[f"{metric}{CORRECTED}"] = column


def _differences(first: Recording, second: Recording, stages: list[str], sizes: Sizes) -> dict[str, Array]:
    a, b = by_stage(first, stages, sizes), by_stage(second, stages, sizes)
    return {metric: b[metric] - a[metric] for metric in VARYING}


def _by_stage(frame: pd.DataFrame) -> ByStage:
    groups = frame.astype(float).groupby(level="stage", sort=False)
    return {str(stage): rows.droplevel("stage") for stage, rows in groups}


def _values(frames: ByStage, stage: str, metric: str) -> pd.Series[float]:
    """Return a metric of a stage in each seed; empty if the network lacks the stage."""
    return frames[stage][metric] if stage in frames else pd.Series(dtype=float)
