"""Pairs of networks compared over seeds, and what it means that there are many of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradlens.catalogue import names
from gradlens.metrics import holm, paired

TESTED = names(tested=True)
"""Metrics that are compared between networks with p-values: costs do not vary over seeds."""


def family(
    frames: Mapping[str, pd.DataFrame], stage: str, pairs: Sequence[tuple[str, str]], level: float
) -> list[dict[str, Any]]:
    """A row a pair and metric of one stage; p-values are corrected over all of them (Holm 1979).

    Args:
        frames: ``variant_metrics`` by name.
        stage: the one to compare in; pairs of which one lacks it have no row.
        pairs: names (a, b); the difference is b minus a.
        level: coverage of the intervals.
    """
    rows = []
    for first, second in pairs:
        for metric in TESTED:
            left, right = (_at(frames[name], stage, metric) for name in (first, second))
            if left.notna().any() and right.notna().any():
                found = paired(np.asarray(left), np.asarray(right), level)
                row: dict[str, Any] = {"stage": stage, "metric": metric, "a": first, "b": second}
                rows.append({**row, "mean_a": left.mean(), "mean_b": right.mean(), **found._asdict()})
    for row, corrected in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = corrected
    return rows


def _at(frame: pd.DataFrame, stage: str, metric: str) -> pd.Series[float]:
    if stage not in frame.index.get_level_values("stage"):
        return pd.Series([np.nan] * frame.index.get_level_values("seed").nunique(), dtype=float)
    return frame[metric].xs(stage, level="stage").astype(float)
