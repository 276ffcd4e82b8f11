"""Which of several losses leads, and where two of them conflict, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.numbers import fixed
from gradlens.results import Table

HALF = 0.5
"""Share of the energy, or of the samples, above which it is most."""


def leading_losses(tables: Mapping[str, Table]) -> str:
    """Return a sentence for each network whose gradient clearly comes mostly from one loss; empty if there is none.

    A loss leads if the interval of its share, mean over the layers, lies above one half.

    Args:
        tables: of a result.
    """
    table = tables.get("losses")
    if table is None:
        return ""
    frame = table.frame
    rows = frame[(frame["where"] == WHOLE) & (frame["level"] == "stage") & (frame["share_low"] > HALF)]
    several = len(set(frame["network"])) > 1
    return " ".join(_leads(row, several) for row in rows.to_dict("records"))


def _leads(row: Mapping[Any, Any], several: bool) -> str:
    share, low, high = (fixed(float(row[f"share{end}"]), 2) for end in ("", "_low", "_high"))
    network = f" of {row['network']}" if several else ""
    return (
        f"The loss {row['loss']} has {share} of the energy of the gradient{network} (mean over layers, 95 % interval "
        f"{low} to {high})."
    )


def conflicting_losses(tables: Mapping[str, Table]) -> Iterator[str]:
    """Yield a warning for each pair of losses whose gradients clearly conflict for most samples of a stage.

    Args:
        tables: of a result.
    """
    table = tables.get("conflicts")
    frame = pd.DataFrame() if table is None else table.frame
    if frame.empty:
        return
    rows = frame[(frame["level"] == "stage") & (frame["where"] != WHOLE) & (frame["conflict_low"] > HALF)]
    for (network, first, second), pair in rows.groupby(["network", "loss_a", "loss_b"], sort=False):
        stages = ", ".join(map(str, pair["where"]))
        worst = fixed(float(pair["conflict"].max()), 2)
        yield (
            f"{network}: the gradients of the losses {first} and {second} conflict (negative cosine) for most samples "
            f"in stage{'s' * (len(pair) > 1)} {stages}: up to {worst} of them, mean over the layers of the stage"
        )
