"""Interactive heat maps of the page: pairs of signals of one network or of two."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from gradlens.graph.stage_order import in_order
from gradlens.plots import order
from gradlens.report.specifications import (
    Choice,
    Spec,
    choose,
    choose_space,
    choose_version,
    line,
    of_chosen_space,
    specification,
)

PAIR = frozenset({"stage_a", "stage_b", "signal_a", "signal_b", "order_a", "order_b", "energy"})
"""Columns that a heat map needs."""
ALL = "all stages"
CHOSEN = f"stage === '{ALL}' || (datum.stage_a === stage && datum.stage_b === stage)"
HALF_WIDTH = "datum[version + '_reach']"


def correlation(frames: Mapping[str, pd.DataFrame], tables: Mapping[str, str]) -> Spec:
    """Return the heat map of the pairs of signals of the selected network, version and stage."""
    frame = pd.concat(frames.values())
    stages = in_order(frame.loc[frame["stage_a"] == frame["stage_b"], "stage_a"])
    params = [
        *choose_space(tables),
        choose("network", order.networks(frame)),
        choose_version(frame),
        choose("stage", [ALL, *stages]),
    ]
    return _matrix(
        tables, params, [*of_chosen_space(tables), "datum.network === network", CHOSEN], mirrored=True
    )


def cross(frames: Mapping[str, pd.DataFrame], tables: Mapping[str, str]) -> Spec:
    """Return the heat map of layers of one network against layers of another."""
    frame = pd.concat(frames.values())
    stages = in_order(frame.loc[frame["stage_a"] == frame["stage_b"], "stage_a"])
    pairs = list(
        dict.fromkeys(zip(frame["network_a"].astype(str), frame["network_b"].astype(str), strict=True))
    )
    params = [*choose_space(tables), choose_version(frame), choose("stage", [ALL, *stages])]
    conditions = [*of_chosen_space(tables), CHOSEN]
    if len(pairs) > 1:
        params.insert(0, choose("other", [second for _, second in pairs], "against"))
        conditions.append("datum.network_b === other")
    down = pairs[0][0]
    across = pairs[0][1] if len(pairs) == 1 else "the other network"
    return _matrix(
        tables, params, conditions, mirrored=False, down=f"layer of {down}", across=f"layer of {across}"
    )


def _matrix(
    tables: Mapping[str, str],
    params: list[Choice],
    conditions: list[str],
    *,
    mirrored: bool,
    down: str = "layer (input to loss)",
    across: str = "layer (input to loss)",
) -> Spec:
    """Return a heat map of the column that the parameter ``version`` names, with a tooltip."""

    def axis(side: str, title: str, **labels: object) -> Spec:
        return {
            "field": f"signal_{side}", "type": "nominal", "sort": {"field": f"order_{side}", "op": "min"},
            "title": title,
            "axis": {"labelLimit": 110, "labelFontSize": 8, "labelOverlap": True, "ticks": False, **labels},
        }  # fmt: skip

    return specification(
        tables,
        params,
        conditions,
        mirrored=mirrored,
        renderer="canvas",
        transform=[
            {"calculate": "datum[version]", "as": "value"},
            {
                "calculate": f"isValid({HALF_WIDTH}) ? '± ' + format({HALF_WIDTH}, '.3f') : 'none'",
                "as": "within",
            },
            {
                "calculate": "isValid(datum.value) ? format(datum.value, '.3f') : 'no value (dead signal)'",
                "as": "value_text",
            },
        ],
        height=520,
        mark={"type": "rect"},
        encoding={
            "x": axis("b", across, labelAngle=-60),
            "y": axis("a", down),
            "color": {
                "field": "value", "type": "quantitative", "title": "CKA",
                "scale": {"scheme": "viridis", "domain": [0, 1], "clamp": True},
                "legend": {"orient": "top", "gradientLength": 160},
            },
            "tooltip": [
                line("signal_a", "layer"), line("stage_a", "stage"), line("signal_b", "with"),
                line("stage_b", "its stage"), line("value_text", "CKA"), line("within", "95 % interval"),
            ],
        },
    )  # fmt: skip
