"""What a detector and its backbone cost, beside how duplicated its gradients are, as measured and given each loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue.losses import ALL, BACKBONE, FORWARD, FORWARD_OF_BACKBONE
from gradlens.graph.stage_order import Part, part_of
from gradlens.results import Table

COLUMNS = ("network", "part", "quantity", "loss", "value", "low", "high")
QUANTITY = "rarefied_duplication"
Row = dict[str, object]


def efficiency(tables: Mapping[str, Table]) -> Table | None:
    """Return cost, speed and duplication of each network in one table; None without duplication by loss, or costs.

    Args:
        tables: of a result, with those of several losses.
    """
    if not {"duplication_by_loss", "cost"} <= set(tables):
        return None
    frames = {
        name: tables[name].frame for name in ("cost", "throughput", "duplication_by_loss") if name in tables
    }
    rows = [*_costs(frames["cost"]), *_duplication(frames["duplication_by_loss"])]
    if "throughput" in frames:
        rows += _speeds(frames["throughput"])
    return Table(
        "efficiency",
        pd.DataFrame(rows, columns=[*COLUMNS]),
        "Cost and speed of backbone and whole network, beside duplication as measured and given each loss.",
        how=(
            "FLOPs per image of the forward pass (multiply-add = 2), of the backbone the sum over its stages, which "
            "are those named by an output stride or a block alone. Images per second: forward pass on this machine, "
            "median with lowest and highest repeat; of the backbone within the pass of the whole network, from its "
            "first layer to its last. Duplication of the whole network: as measured without a loss, else given this "
            "loss, with its 95 % interval, at the m of the table duplication_by_loss."
        ),
        units={"flops": "FLOPs per image", "images_per_second": "images / s"},
        reproducible=False,
    )


def _costs(frame: pd.DataFrame) -> Iterator[Row]:
    for network, rows in frame.groupby("network", sort=False):
        by_stage = rows.set_index(rows["stage"].astype(str))["flops"].astype(float)
        backbone = by_stage[[part_of(stage) is Part.BACKBONE for stage in by_stage.index]]
        if len(backbone):
            yield _row(network, BACKBONE, "flops", "", float(backbone.sum()))
        yield _row(network, WHOLE, "flops", "", float(by_stage.get(WHOLE, np.nan)))


def _speeds(frame: pd.DataFrame) -> Iterator[Row]:
    parts = {FORWARD_OF_BACKBONE: BACKBONE, FORWARD: WHOLE}
    for row in frame.to_dict("records"):
        if row["pass"] in parts:
            speed, low, high = (float(row[name]) for name in ("images_per_second", "low", "high"))
            yield _row(row["network"], parts[row["pass"]], "images_per_second", "", speed, low, high)


def _duplication(frame: pd.DataFrame) -> Iterator[Row]:
    """Yield D as measured and given each loss; of several seeds the mean."""
    whole = frame[frame["stage"].astype(str) == WHOLE]
    for (network, loss), rows in whole.groupby(["network", "loss"], sort=False):
        if loss == ALL:
            yield _row(network, WHOLE, QUANTITY, "", *_means(rows, QUANTITY))
        yield _row(network, WHOLE, QUANTITY, str(loss), *_means(rows, f"{QUANTITY}_given"))


def _means(rows: pd.DataFrame, column: str) -> tuple[float, float, float]:
    """Return the value and both ends of its interval."""
    value, low, high = (
        float(rows[name].mean()) if name in rows else float("nan")
        for name in (column, f"{column}_low", f"{column}_high")
    )
    return value, low, high


def _row(
    network: object,
    part: str,
    quantity: str,
    loss: str,
    value: float,
    low: float = float("nan"),
    high: float = float("nan"),
) -> Row:
    return dict(zip(COLUMNS, (network, part, quantity, loss, value, low, high), strict=True))
