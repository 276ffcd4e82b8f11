"""Duplication of the gradients as measured, and given each of the losses."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradlens.catalogue.losses import ALL
from gradlens.graph.stage_order import in_order
from gradlens.plots import canvas, order, stage_rows
from gradlens.plots.colours import BLACK, INK, Style, loss_styles
from gradlens.plots.losses import INTERVAL
from gradlens.plots.plot import Plot

VALUE = "rarefied_duplication"
MEASURED = Style(BLACK, "X", "-")
"""Style of the duplication as measured, and, not filled, given all losses together."""


def given_each_loss(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the duplication of the total's signals and the same given each loss, one panel per network.

    Args:
        frame: the table ``duplication_by_loss``, one row per network, stage and loss; stages without a
            number are left out.
        ax: where to draw; divided into panels.
    """
    frame = stage_rows.with_values(frame, "stage", VALUE, f"{VALUE}_given")
    if frame.empty:
        return canvas.nothing(ax, "one loss only, or no stage with two live signals")
    styles = loss_styles(frame)
    panels = {network: series(order.of_network(frame, network), styles) for network in order.networks(frame)}
    values = [one.values.to_numpy(float) for drawn in panels.values() for one in drawn]
    lowest = min([0.0, *(float(part[part == part].min()) for part in values if (part == part).any())])
    stages = in_order(frame["stage"])
    stage_rows.draw(ax, panels, stages, (max(lowest, -0.2), 1.0), "duplication D_m (0 unrelated, 1 copies)")
    canvas.legend_above(ax, _legend(panels), lift=0.28)
    return ax


def series(rows: pd.DataFrame, styles: dict[str, Style]) -> list[stage_rows.Series]:
    """Return the series of a network: as measured, given each loss, given all losses."""
    by_loss = {str(loss): part for loss, part in rows.groupby(rows["loss"].astype(str), sort=False)}
    drawn = []
    if ALL in by_loss:
        drawn.append(_one("as measured", MEASURED, by_loss[ALL], VALUE))
    for loss in (name for name in styles if name in by_loss and name != ALL):
        drawn.append(_one(f"given {loss}", styles[loss], by_loss[loss], f"{VALUE}_given"))
    if ALL in by_loss:
        drawn.append(_one("given all losses", MEASURED, by_loss[ALL], f"{VALUE}_given", filled=False))
    return drawn


def _one(
    label: str, style: Style, rows: pd.DataFrame, column: str, *, filled: bool = True
) -> stage_rows.Series:
    return stage_rows.Series(label, style, stage_rows.by_stage(rows, "stage", column), filled)


def _legend(panels: dict[str, list[stage_rows.Series]]) -> list[Line2D]:
    handles = {one.label: one.handle() for drawn in panels.values() for one in drawn}
    legend = [*handles.values()]
    if any(one.values["low"].notna().any() for drawn in panels.values() for one in drawn):
        legend.append(Line2D([], [], color=INK, lw=1.3, label=INTERVAL))
    return legend


def height_of_rows(frame: pd.DataFrame, width: float) -> float:
    """Return the height of the figure, in inches."""
    frame = stage_rows.with_values(frame, "stage", VALUE, f"{VALUE}_given")
    networks, stages = max(1, len(order.networks(frame))), max(1, len(in_order(frame["stage"])))
    return stage_rows.height(networks, stages, len(frame["loss"].unique()) + 1, width)


GIVEN_LOSSES = Plot(given_each_loss, side_by_side=True, fitted=height_of_rows)
