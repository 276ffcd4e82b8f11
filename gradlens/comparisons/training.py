"""Metrics during training, and their correlation with held-out accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import quantities_with, units
from gradlens.comparisons.variants import MEASURED
from gradlens.metrics import association
from gradlens.results import Table


def trajectory(steps: Mapping[int, Mapping[str, pd.DataFrame]]) -> Table:
    """Return the metrics of the whole network during training, one row per step, seed and variant.

    Args:
        steps: ``Variants.frames()`` by number of updates.
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
        "The whole network during training.",
        how="Measured on the same batches at each step; loss and accuracy on held-out samples.",
        units=units("trajectory"),
    )


def learning(frames: Mapping[str, pd.DataFrame]) -> Table | None:
    """Return the correlation of duplication with held-out accuracy, over all variants and seeds and within seeds.

    Return None if accuracy was not measured.
    """
    runs = pd.concat([frame.xs(WHOLE, level="stage") for frame in frames.values()], keys=list(frames))
    runs = runs[list(MEASURED)].astype(float)
    if runs["accuracy"].isna().all():
        return None
    within = runs - runs.groupby(level=1).transform("mean")
    rows = []
    for metric in (quantity.name for quantity in quantities_with("trajectory") if quantity.version):
        for over, frame in (("strategies and seeds", runs), ("strategies within a seed", within)):
            for kind in ("pearson", "spearman"):
                values = association(frame[metric].to_numpy(), frame["accuracy"].to_numpy(), kind)
                rows.append(
                    {
                        "metric": metric,
                        "over": over,
                        "coefficient": kind,
                        "runs": len(frame),
                        **values._asdict(),
                    }
                )
    return Table(
        "learning",
        pd.DataFrame(rows),
        "Correlation of duplication with held-out accuracy after training.",
        how=(
            "Pearson with Fisher's 95 % interval, Spearman with the interval of Bonett & Wright (2000); within a "
            "seed: after subtracting the seed's means from both. Runs of one seed share samples, so the runs are "
            "not independent and the intervals over all of them are too narrow."
        ),
        units={"value": "-1 to 1"},
    )
