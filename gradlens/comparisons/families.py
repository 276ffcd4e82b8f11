"""Paired comparisons of networks over seeds, corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd

from gradlens.catalogue import names, size_column
from gradlens.metrics import holm, paired
from gradlens.metrics.hsic import Array

TESTED = names(tested=True)
"""Metrics that are compared with p-values; costs are not among them because they do not vary over seeds."""


PAIRED_UNITS = {
    "m": "signals of D_m",
    "difference": "b - a",
    "p": "two-sided",
    "p_holm": "two-sided, corrected",
}


class Difference(TypedDict):
    """A row of a table of differences: a metric of ``b`` minus the same metric of ``a``, paired over seeds."""

    stage: str
    metric: str
    m: float
    a: str
    b: str
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p: float
    p_permutation: float
    p_holm: float


def how_paired(level: float, comparisons: str) -> str:
    """Return the text that explains a table of paired differences.

    Args:
        level: coverage of the intervals.
        comparisons: the comparisons over which the p-values are corrected.
    """
    return (
        "Over seeds, which set the same weights and samples for all networks: mean difference with its "
        f"{level:.0%} t interval; p of the paired t test; p_holm: corrected (Holm 1979) over all {comparisons} of "
        "this table, at all stages; p_permutation: all sign flips of the differences, which with s seeds cannot fall "
        "below 2 / 2^s."
    )


def family(
    frames: Mapping[str, pd.DataFrame], stage: str, pairs: Sequence[tuple[str, str]], level: float
) -> list[Difference]:
    """Return one row per pair and metric of one stage, with p-values that are not corrected yet.

    Args:
        frames: ``variant_metrics`` by name.
        stage: the stage to compare; a pair in which one network lacks it has no row.
        pairs: names (a, b); the difference is b minus a.
        level: coverage of the intervals.
    """
    rows = []
    of_stage = {name: _of_stage(frames[name], stage) for name in {name for pair in pairs for name in pair}}
    for first, second in pairs:
        for metric in TESTED:
            left, right = of_stage[first].values[metric], of_stage[second].values[metric]
            if not (np.isnan(left).all() or np.isnan(right).all()):
                values = paired(left, right, level)
                rows.append(
                    Difference(
                        stage=stage,
                        metric=metric,
                        m=of_stage[first].sizes[metric],
                        a=first,
                        b=second,
                        mean_a=float(np.nanmean(left)),
                        mean_b=float(np.nanmean(right)),
                        difference=values.difference,
                        low=values.low,
                        high=values.high,
                        p=values.p,
                        p_permutation=values.p_permutation,
                        p_holm=np.nan,
                    )
                )
    return rows


def corrected(rows: Sequence[Difference]) -> list[Difference]:
    """Return the rows of a table with p-values corrected over all of them (Holm 1979)."""
    p_values = holm([row["p"] for row in rows])
    return [{**row, "p_holm": p} for row, p in zip(rows, p_values, strict=True)]


class OfStage(NamedTuple):
    """The tested metrics of a network at one stage by name: values in each seed, and numbers of signals."""

    values: dict[str, Array]
    sizes: dict[str, float]


def _of_stage(frame: pd.DataFrame, stage: str) -> OfStage:
    """Return the metrics of a stage, NaN if the network lacks it; only duplications have a number of signals."""
    if stage not in frame.index.get_level_values("stage"):
        seeds = frame.index.get_level_values("seed").nunique()
        return OfStage({name: np.full(seeds, np.nan) for name in TESTED}, dict.fromkeys(TESTED, np.nan))
    rows = frame.xs(stage, level="stage")
    columns = {name: size_column(name) for name in TESTED}
    return OfStage(
        {name: rows[name].to_numpy(np.float64) for name in TESTED},
        {name: float(rows[column].iloc[0]) if column else np.nan for name, column in columns.items()},
    )
