"""The ledger of losses: the share of each loss in the gradient's energy at each stage."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradlens.graph.stage_order import in_order
from gradlens.plots import canvas, order, stage_rows
from gradlens.plots.colours import INK, MUTED, Style, loss_styles
from gradlens.plots.plot import Plot

INTERVAL = "95 % interval"


def ledger(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the share of each loss with its interval, one panel per network and one row per stage.

    Args:
        frame: the table ``losses``, one row per network, level, place and loss; the rows of the level
            ``stage`` are drawn, without stages that no gradient reaches.
        ax: where to draw; divided into panels.
    """
    rows = stage_rows.with_values(stages_only(frame), "where", "share")
    if rows.empty:
        return canvas.nothing(ax, "one loss only, or no stage was measured")
    styles = loss_styles(rows)
    panels = {network: _series(order.of_network(rows, network), styles) for network in order.networks(rows)}
    drawn = stage_rows.draw(ax, panels, in_order(rows["where"]), (0.0, 1.0), "share of the energy")
    for panel, series in zip(drawn, panels.values(), strict=True):
        panel.axvline(1 / len(series), color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    canvas.legend_above(ax, _legend(rows, styles), lift=0.28)
    return ax


def stages_only(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of stages of a table of losses, whose column ``where`` has their names."""
    return frame if frame.empty else frame[frame["level"].astype(str) == "stage"]


def _series(rows: pd.DataFrame, styles: dict[str, Style]) -> list[stage_rows.Series]:
    return [
        stage_rows.Series(
            loss, style, stage_rows.by_stage(rows[rows["loss"].astype(str) == loss], "where", "share")
        )
        for loss, style in styles.items()
        if loss in set(rows["loss"].astype(str))
    ]


def _legend(rows: pd.DataFrame, styles: dict[str, Style]) -> list[Line2D]:
    nothing = pd.DataFrame()
    handles = [stage_rows.Series(loss, style, nothing).handle() for loss, style in styles.items()]
    handles.append(Line2D([], [], ls=(0, (4, 3)), color=MUTED, lw=0.7, label="equal shares"))
    if "share_low" in rows and rows["share_low"].notna().any():
        handles.append(Line2D([], [], color=INK, lw=1.3, label=INTERVAL))
    return handles


def height_of_ledger(frame: pd.DataFrame, width: float) -> float:
    """Return the height of the figure, in inches."""
    rows = stage_rows.with_values(stages_only(frame), "where", "share")
    losses = len(rows["loss"].unique()) if len(rows) else 0
    stages = len(in_order(rows["where"])) if len(rows) else 0
    return stage_rows.height(max(1, len(order.networks(rows))), max(1, stages), losses, width)


LEDGER = Plot(ledger, side_by_side=True, fitted=height_of_ledger)
