"""Metrics during training, and their correlation with held-out accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from gradlens.analyzers.losses import Ledger
from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import QUALITIES, SIZES, quality_in, quantities_with, units
from gradlens.comparisons.variants import MEASURED
from gradlens.metrics import association
from gradlens.recording import Recording
from gradlens.results import Table

WITHIN = "strategies within a seed"
STRATEGIES = "strategies"
"""What a correlation of the table ``learning`` is over: all runs after the seed's means, or the means over seeds."""


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
                rows.append(
                    {"network": name, "seed": seed, "step": step, **row[[*SIZES, *MEASURED]].to_dict()}
                )
    return Table(
        "trajectory",
        pd.DataFrame(rows).dropna(axis="columns", how="all"),
        "The whole network during training.",
        how=(
            "Measured on the same batches at each step; loss, accuracy and average precision on held-out samples. "
            "Training loss: mean over the last five steps before the measurement, at step 0 that of the first step."
        ),
        units=units("trajectory"),
    )


def losses_along(steps: Mapping[int, Sequence[Recording]]) -> Table | None:
    """Return the share of each loss by stage during training, one row per network, step, stage and loss.

    Args:
        steps: recordings of all seeds, one per network, by number of updates.

    Returns:
        The table, with the columns of the table ``losses``; None if one loss was measured.
    """
    ledgers = [
        (step, table)
        for step, recordings in steps.items()
        for table in map(Ledger(), recordings)
        if table is not None
    ]
    if not ledgers:
        return None
    frames = [table.frame.query("level == 'stage'").assign(step=step) for step, table in ledgers]
    frame = pd.concat(frames, ignore_index=True)
    frame["stage"] = frame["where"]
    first, last = ledgers[0][1], ["level", "where", "depth", "order"]
    columns = ["network", "step", *frame.columns.drop(["network", "step", *last])]
    return Table(
        "losses_along",
        frame[columns],
        "Share of each loss in the energy of the gradient during training.",
        how=f"Measured on the same batches at each step. {first.how}",
        units={name: unit for name, unit in first.units.items() if name in columns},
    )


def learning(frames: Mapping[str, pd.DataFrame]) -> Table | None:
    """Return the correlation of duplication with held-out accuracy: over all runs, within seeds, and over strategies.

    For detectors, accuracy is the mean average precision. Return None if neither was measured.
    """
    runs = pd.concat([frame.xs(WHOLE, level="stage") for frame in frames.values()], keys=list(frames))
    runs = runs[list(MEASURED)].astype(float)
    quality = quality_in(name for name in QUALITIES if runs[name].notna().any())
    if not quality:
        return None
    seeds = runs.groupby(level=1)
    units_of = {
        "strategies and seeds": (runs, 0),
        WITHIN: (runs - seeds.transform("mean"), seeds.ngroups - 1),
        STRATEGIES: (runs.groupby(level=0).mean(), 0),
    }
    rows = [
        {
            "metric": quantity.name,
            "over": over,
            "coefficient": kind,
            "runs": len(frame),
            **({} if quality == "accuracy" else {"quality": quality}),
            **association(
                frame[quantity.name].to_numpy(), frame[quality].to_numpy(), kind, removed=removed
            )._asdict(),
        }
        for quantity in quantities_with("trajectory")
        if quantity.version
        for over, (frame, removed) in units_of.items()
        for kind in ("pearson", "spearman")
    ]
    return Table(
        "learning",
        pd.DataFrame(rows),
        f"Correlation of duplication with held-out {QUALITIES[quality]} after training.",
        how=(
            "Pearson with Fisher's 95 % interval, Spearman with the interval of Bonett & Wright (2000). Strategies "
            "within a seed: after subtracting the seed's means from both, with standard error 1/√(N − (s − 1) − 3) for "
            "N runs of s seeds. Strategies: of the means over seeds. The strategies are the units that matter if they "
            f"differ in duplication or {QUALITIES[quality]}: then runs of one strategy are not independent, and the "
            "intervals over runs are too narrow."
        ),
        units={"value": "-1 to 1"},
    )
