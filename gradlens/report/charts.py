"""Interactive figures of the page, as Vega-Lite specifications; the data is the page's own tables.

``usermeta`` says to the page's script which tables a figure reads, and whether pairs stand on both sides
of the diagonal. Choices (network, version, stage, space) are the specification's parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pandas as pd

from gradlens.plots import order
from gradlens.plots.duplication import t_interval
from gradlens.plots.spaces import SUFFIX
from gradlens.report.specifications import (
    Spec,
    choose,
    choose_space,
    choose_version,
    line,
    network_colour,
    network_shape,
    of_chosen_space,
    specification,
)
from gradlens.results import Result
from gradlens.showing.embedding import ROWS

ALL = "all stages"
CHOSEN = f"stage === '{ALL}' || (datum.stage_a === stage && datum.stage_b === stage)"
REACHED = "datum[version + '_reach']"
FLOW = {
    "rms": "log10 RMS of the gradient (a sample and element)",
    "norm": "log10 norm (a sample)",
    "effective_rank": "effective rank",
    "stable_rank": "stable rank",
    "participation_ratio": "participation ratio",
    "diversity": "gradient diversity",
    "stiffness_within": "stiffness within classes",
    "stiffness_across": "stiffness across classes",
    "confusion": "gradient confusion",
}
LOGARITHMIC = ("rms", "norm")


def charts(result: Result) -> dict[str, Spec]:
    """The specification of each interactive figure, by the table it belongs to."""
    found = {}
    for name, draw in CHARTS.items():
        tables = {
            space: own
            for space, own in space_tables(result, name).items()
            if not result.tables[own].frame.empty
        }
        frames = [result.tables[own].frame for own in tables.values()]
        if frames and all(NEEDS[name] <= set(frame) and len(frame) <= ROWS for frame in frames):
            found[name] = draw({space: result.tables[own].frame for space, own in tables.items()}, tables)
    return found


def correlation(frames: Mapping[str, pd.DataFrame], tables: Mapping[str, str]) -> Spec:
    """Signal against signal: a heat map of the chosen network, version and stage."""
    frame = pd.concat(frames.values())
    stages = order.stages(frame.loc[frame["stage_a"] == frame["stage_b"], "stage_a"])
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
    """Layers of one network against layers of another."""
    frame = pd.concat(frames.values())
    stages = order.stages(frame.loc[frame["stage_a"] == frame["stage_b"], "stage_a"])
    pairs = list(
        dict.fromkeys(zip(frame["network_a"].astype(str), frame["network_b"].astype(str), strict=True))
    )
    params = [*choose_space(tables), choose_version(frame), choose("stage", [ALL, *stages])]
    kept = [*of_chosen_space(tables), CHOSEN]
    if len(pairs) > 1:
        params.insert(0, choose("other", [second for _, second in pairs], "against"))
        kept.append("datum.network_b === other")
    down = pairs[0][0]
    across = pairs[0][1] if len(pairs) == 1 else "the other network"
    return _matrix(tables, params, kept, mirrored=False, down=f"layer of {down}", across=f"layer of {across}")


def duplication(frames: Mapping[str, pd.DataFrame], tables: Mapping[str, str]) -> Spec:
    """Duplication by stage: mean over seeds with its interval, and the seeds."""
    rows = [row for space, frame in frames.items() for row in _means(frame, space)]
    frame = pd.concat(frames.values())
    versions = list(dict.fromkeys(frame["version"]))
    params = [*choose_space(tables), choose("version", versions)]
    networks = order.networks(frame)
    base = {
        "x": {"field": "stage", "type": "nominal", "sort": order.stages(frame["stage"]), "axis": {"labelAngle": 0},
              "title": order.stage_axis(frame["stage"])},
        "xOffset": {"field": "network", "sort": networks},
        "color": network_colour(networks),
    }  # fmt: skip
    y: Spec = {"type": "quantitative", "title": "duplication D (0 unrelated, 1 copies)"}
    tooltip = [
        line("network"), line("stage"), line("mean", "duplication D", ".3f"), line("within", "95 % interval"),
        line("used", "live signals"), line("seeds"),
    ]  # fmt: skip
    return specification(
        {},
        params,
        [*of_chosen_space(tables), "datum.version === version"],
        data={"values": rows},
        height=300,
        layer=[
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {**base, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {
                    **base,
                    "y": {**y, "field": "mean"},
                    "shape": network_shape(networks),
                    "tooltip": tooltip,
                },
            },
        ],
    )


def flow(frames: Mapping[str, pd.DataFrame], tables: Mapping[str, str]) -> Spec:
    """One quantity of the signals over depth."""
    frame = pd.concat(frames.values())
    networks = order.networks(frame)
    known = {name: title for name, title in FLOW.items() if name in frame and frame[name].notna().any()}
    params = [*choose_space(tables), choose("quantity", list(known), labels=list(known.values()))]
    logarithmic = " || ".join(f"quantity === '{name}'" for name in LOGARITHMIC)
    encoding = {
        "x": {"field": "depth", "type": "quantitative", "title": "depth (weighted layers from the input)"},
        "y": {"field": "value", "type": "quantitative", "title": "value", "scale": {"zero": False}},
        "color": network_colour(networks),
        "detail": {"field": "network"},
    }
    tooltip = [
        line("network"), line("signal", "layer"), line("stage"), line("depth"), line("raw", "value", ".4g"),
    ]  # fmt: skip
    return specification(
        tables,
        params,
        [
            *of_chosen_space(tables),
            "datum.role === 'signal' && isValid(datum[quantity]) && isFinite(datum[quantity])",
            f"datum[quantity] > 0 || !({logarithmic})",
        ],
        transform=[
            {"calculate": "datum[quantity]", "as": "raw"},
            {
                "calculate": f"({logarithmic}) ? log(datum.raw) / LN10 : datum.raw",
                "as": "value",
            },
        ],
        height=280,
        layer=[
            {
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.5},
                "encoding": encoding,
            },
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {**encoding, "shape": network_shape(networks), "tooltip": tooltip},
            },
        ],
    )


CHARTS: dict[str, Callable[[Mapping[str, pd.DataFrame], Mapping[str, str]], Spec]] = {
    "duplication": duplication,
    "correlation": correlation,
    "cross": cross,
    "flow": flow,
}
"""By table; a table without one has its static figure."""
_PAIR = {"stage_a", "stage_b", "signal_a", "signal_b", "order_a", "order_b", "energy"}
NEEDS = {
    "duplication": {"network", "seed", "stage", "version", "duplication"},
    "correlation": {"network", *_PAIR},
    "cross": {"network_a", "network_b", *_PAIR},
    "flow": {"network", "signal", "stage", "role", "depth", "rms"},
}
"""Columns without which a figure cannot be drawn, as in runs of other versions."""


def _matrix(
    tables: Mapping[str, str],
    params: list[Spec],
    kept: list[str],
    *,
    mirrored: bool,
    down: str = "layer (input to loss)",
    across: str = "layer (input to loss)",
) -> Spec:
    """A heat map of the column that ``version`` names, read by the pointer."""

    def axis(side: str, title: str) -> Spec:
        return {
            "field": f"signal_{side}", "type": "nominal", "sort": {"field": f"order_{side}", "op": "min"},
            "title": title, "axis": {"labelLimit": 110, "labelFontSize": 8, "labelOverlap": True, "ticks": False},
        }  # fmt: skip

    return specification(
        tables,
        params,
        kept,
        mirrored=mirrored,
        renderer="canvas",
        transform=[
            {"calculate": "datum[version]", "as": "value"},
            {
                "calculate": f"isValid({REACHED}) ? '± ' + format({REACHED}, '.3f') : 'none'",
                "as": "within",
            },
            {"calculate": "isValid(datum.value) ? format(datum.value, '.3f') : 'no value (dead signal)'", "as": "read"},
        ],
        height=520,
        mark={"type": "rect"},
        encoding={
            "x": {**axis("b", across), "axis": {**axis("b", across)["axis"], "labelAngle": -60}},
            "y": axis("a", down),
            "color": {
                "field": "value", "type": "quantitative", "title": "CKA",
                "scale": {"scheme": "viridis", "domain": [0, 1], "clamp": True},
                "legend": {"orient": "top", "gradientLength": 160},
            },
            "tooltip": [
                line("signal_a", "layer"), line("stage_a", "stage"), line("signal_b", "with"),
                line("stage_b", "stage of that"), line("read", "CKA"), line("within", "95 % interval"),
            ],
        },
    )  # fmt: skip


def _means(frame: pd.DataFrame, space: str) -> list[Spec]:
    rows = []
    for (network, stage, version), own in frame.groupby(
        ["network", "stage", "version"], sort=False, observed=True
    ):
        mean, reach = t_interval(own["duplication"].to_numpy(float))
        if math.isnan(mean):
            continue
        several = math.isfinite(reach)
        low, high = (mean - reach, mean + reach) if several else (None, None)
        rows.append(
            {
                "space": space, "network": str(network), "stage": str(stage), "version": str(version),
                "mean": mean, "low": low, "high": high,
                "within": f"{low:.3f} to {high:.3f}" if several else "one seed, none",
                "used": int(own["used"].max()) if "used" in own else None, "seeds": len(own),
            }
        )  # fmt: skip
    return rows


def space_tables(result: Result, name: str) -> dict[str, str]:
    """By space, the table of this kind that the result holds in it."""
    own = "weights" if result.provenance.tables_of_weights else "activations"
    found = {own: name, "weights": name + SUFFIX} if own == "activations" else {own: name}
    return {space: table for space, table in found.items() if table in result.tables}
