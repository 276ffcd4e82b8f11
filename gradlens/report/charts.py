"""Interactive figures of the page, as Vega-Lite specifications; the data is in the tables of the page.

``usermeta`` lists the tables that a figure reads, and whether pairs appear on both sides of the diagonal.
Choices (network, version, stage, space) are parameters of the specification.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from gradlens.catalogue import SUFFIX
from gradlens.catalogue.mapped import SIGNAL_QUANTITIES
from gradlens.graph.stage_order import in_order
from gradlens.metrics import mean_interval
from gradlens.plots import order, stage_names
from gradlens.plots.colours import styles_in
from gradlens.plots.duplication import TITLES
from gradlens.plots.flow import DEPTH
from gradlens.plots.quantities import limited
from gradlens.report import matrices
from gradlens.report.specifications import (
    Spec,
    choose,
    choose_space,
    line,
    network_colour,
    of_chosen_space,
    points,
    specification,
)
from gradlens.results import Result
from gradlens.showing.embedding import ROWS

WIDE = 7.0
"""Length of the names of stages side by side, in inches, from which on they are oblique."""
FLOW = {entry.name: entry.axis for entry in SIGNAL_QUANTITIES}
LOGARITHMIC = tuple(entry.name for entry in SIGNAL_QUANTITIES if entry.logarithmic)


@dataclass(frozen=True)
class Chart:
    """An interactive figure.

    Attributes:
        draw: returns the specification from frames and names of tables, both by space.
        needs: required columns; runs of older versions that lack one show the static figure.
    """

    draw: Callable[[Mapping[str, pd.DataFrame], Mapping[str, str]], Spec]
    needs: frozenset[str]


def charts(result: Result) -> dict[str, Spec]:
    """Return the specification of each interactive figure, by table."""
    specs = {}
    for name, chart in CHARTS.items():
        tables = space_tables(result, name)
        tables = {space: table for space, table in tables.items() if not result.tables[table].frame.empty}
        frames = {space: result.tables[table].frame for space, table in tables.items()}
        if frames and all(chart.needs <= set(frame) and len(frame) <= ROWS for frame in frames.values()):
            specs[name] = chart.draw(frames, tables)
    return specs


def duplication(frames: Mapping[str, pd.DataFrame], tables: Mapping[str, str]) -> Spec:
    """Return the figure of duplication by stage: the mean over seeds with its interval."""
    rows = [row for space, frame in frames.items() for row in _means(frame, space)]
    frame = pd.concat(frames.values())
    versions = [label for label in TITLES if label in set(frame["version"])]
    params = [
        *choose_space(tables),
        choose("version", versions, labels=[TITLES[version] for version in versions]),
    ]
    styles, stages = styles_in(frame), in_order(frame["stage"])
    base = {
        "x": {"field": "stage", "type": "nominal", "sort": stages,
              "axis": {"labelAngle": -60 if stage_names.length(stages) > WIDE else 0, "labelLimit": 200},
              "title": order.stage_axis(frame["stage"])},
        "xOffset": {"field": "network", "sort": list(styles)},
        "color": network_colour(styles),
    }  # fmt: skip
    lowest = min([0.0, *(float(str(row["mean"])) for row in rows)])
    y: Spec = {"type": "quantitative", "title": "duplication D_m (0 unrelated, 1 copies)",
               "scale": {"domain": [lowest, 1.0]}}  # fmt: skip
    tooltip = [
        line("network"), line("stage"), line("mean", "duplication D_m", ".3f"), line("m", "signals m"),
        line("within", "95 % interval"),
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
            points(70, {**base, "y": {**y, "field": "mean"}}, styles, tooltip),
        ],
    )


def flow(frames: Mapping[str, pd.DataFrame], tables: Mapping[str, str]) -> Spec:
    """Return the figure of a selected quantity of the signals over depth."""
    frame = pd.concat(frames.values())
    styles = styles_in(frame)
    titles = {name: title for name, title in FLOW.items() if name in frame and frame[name].notna().any()}
    params = [*choose_space(tables), choose("quantity", list(titles), labels=list(titles.values()))]
    logarithmic = " || ".join(f"quantity === '{name}'" for name in LOGARITHMIC)
    encoding = {
        "x": {"field": "depth", "type": "quantitative", "title": DEPTH},
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": None,
            "scale": {"zero": {"expr": f"!({logarithmic})"}},
        },
        "color": network_colour(styles),
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
            {"calculate": f"({logarithmic}) ? log(datum.raw) / LN10 : datum.raw", "as": "value"},
        ],
        title={"text": {"expr": f"{json.dumps(titles)}[quantity]"}, "anchor": "start", "fontWeight": 500},
        height=280,
        layer=[
            {"mark": {"type": "line", "strokeWidth": 1, "opacity": 0.5}, "encoding": encoding},
            points(45, encoding, styles, tooltip),
        ],
    )


def _means(frame: pd.DataFrame, space: str) -> list[Spec]:
    """Return one row per network, stage and version: the mean over seeds and its interval, drawn within 0 and 1."""
    rows = []
    for (network, stage, version), seeds in frame.groupby(
        ["network", "stage", "version"], sort=False, observed=True
    ):
        mean, low, high = mean_interval(seeds[order.duplication_column(seeds)].to_numpy(float))
        if math.isnan(mean):
            continue
        several = math.isfinite(low)
        drawn_low, drawn_high = limited(low, high, mean)
        rows.append(
            {
                "space": space, "network": str(network), "stage": str(stage), "version": str(version),
                "mean": mean,
                "low": float(drawn_low) if several else None, "high": float(drawn_high) if several else None,
                "within": f"{low:.3f} to {high:.3f}" if several else "one seed, none",
                "used": int(seeds["used"].max()) if "used" in seeds else None,
                "m": int(seeds["m"].max()) if "m" in seeds and seeds["m"].notna().any() else None, "seeds": len(seeds),
            }
        )  # fmt: skip
    return rows


def space_tables(result: Result, name: str) -> dict[str, str]:
    """Return the names of the tables of this kind in the result, by space."""
    both = {"activations": name, "weights": name + SUFFIX}
    names = {"weights": name} if result.provenance.tables_of_weights else both
    return {space: table for space, table in names.items() if table in result.tables}


CHARTS: dict[str, Chart] = {
    "duplication": Chart(duplication, frozenset({"network", "seed", "stage", "version"})),
    "correlation": Chart(matrices.correlation, matrices.PAIR | {"network"}),
    "cross": Chart(matrices.cross, matrices.PAIR | {"network_a", "network_b"}),
    "flow": Chart(flow, frozenset({"network", "signal", "stage", "role", "depth", "rms"})),
}
"""By table; other tables have only a static figure."""
