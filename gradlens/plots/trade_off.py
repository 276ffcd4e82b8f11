"""Networks and transition strategies against their cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradlens import catalogue
from gradlens.numbers import tick
from gradlens.plots import canvas, order, subplots
from gradlens.plots.colours import INK, Style, styles_in
from gradlens.plots.limits import at_least
from gradlens.plots.plot import Plot
from gradlens.plots.quantities import (
    ABREAST,
    INTERVAL,
    SLIM,
    ceiling_of,
    dressed,
    further_lines,
    limited,
    limits_of,
    networks_legend,
    panel_title,
)

MAIN = catalogue.HEADLINES[0]
CLOSE = 0.2  # smallest range of the axis of FLOPs, as a share of the largest


def lines_of_trade_off(frame: pd.DataFrame) -> int:
    """Return the number of lines that further rows of panels add to the figure of strategies or networks."""
    metrics = _trade_offs(frame)
    return further_lines(len(metrics) + bool(catalogue.quality_in(metrics)))


def trade_off(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the duplication (and measured accuracy) of the whole network against FLOPs, one mark per strategy.

    Args:
        frame: the strategies or the networks table.
        ax: where to draw; divided into panels.
    """
    whole = frame[frame["stage"].astype(str) == "whole"] if not frame.empty else frame
    if whole.empty:
        return canvas.nothing(ax, "nothing was measured")
    styles = styles_in(whole)
    metrics = _trade_offs(whole)
    quality = catalogue.quality_in(metrics)
    divided, _ = subplots.grid(ax, len(metrics) + bool(quality), ABREAST, SLIM, across=0.62)
    if quality:
        _against_quality(divided[-1], whole, styles, quality)
    for panel, quantity in zip(divided, metrics, strict=False):
        _against_cost(panel, whole, quantity, styles)
    handles = networks_legend(styles)
    if any(whole[f"{quantity}_low"].notna().any() for quantity in metrics if f"{quantity}_low" in whole):
        handles.append(Line2D([], [], color=INK, marker="|", ls="", ms=9, mew=1.2, label=INTERVAL))
    canvas.legend_above(ax, handles, lift=0.28)
    return ax


def _trade_offs(frame: pd.DataFrame) -> list[str]:
    return [quantity for quantity in (*catalogue.HEADLINES, *catalogue.QUALITIES) if quantity in frame]


def _against_cost(panel: Axes, whole: pd.DataFrame, quantity: str, styles: dict[str, Style]) -> None:
    """Draw a quantity of each network over its FLOPs, or in the order of the table if these are not known."""
    by_cost = "flops" in whole and bool(whole["flops"].notna().any())
    ends: list[float] = []
    costs: list[float] = []
    for index, (network, style) in enumerate(styles.items()):
        row = order.of_network(whole, network).iloc[0]
        costs.append(float(row["flops"]) if by_cost else float(index))
        ends += _mark(panel, costs[-1], row, quantity, style)
    dressed(panel, panel_title(quantity, whole))
    panel.set_ylim(*limits_of(ends, quantity))
    panel.set_xlim(*at_least(costs, CLOSE * max(np.nanmax(costs), 1.0)))
    panel.xaxis.set_major_locator(MaxNLocator(3))
    panel.xaxis.set_major_formatter(lambda value, _: tick(value))
    panel.set_xlabel("FLOPs per image" if by_cost else "in the order of the table")


def _against_quality(panel: Axes, whole: pd.DataFrame, styles: dict[str, Style], quality: str) -> None:
    """Draw held-out accuracy or average precision over duplication, both with their intervals."""
    ends: list[float] = []
    for network, style in styles.items():
        row = order.of_network(whole, network).iloc[0]
        x, low, high = _bounded(row, MAIN)
        panel.hlines(float(row[quality]), low, high, color=style.colour, linewidth=1.2)
        _mark(panel, x, row, quality, style)
        ends += [x, low, high]
    dressed(panel, f"{catalogue.QUALITIES[quality]} over D_m")
    panel.set_ylim(*limits_of([], quality))
    panel.set_xlim(*limits_of(ends, MAIN))
    panel.xaxis.set_major_locator(MaxNLocator(3))
    panel.set_xlabel("duplication D_m")


def _mark(panel: Axes, x: float, row: pd.Series, quantity: str, style: Style) -> tuple[float, float, float]:
    """Draw a value with its interval, and return both."""
    value, low, high = _bounded(row, quantity)
    panel.vlines(x, low, high, color=style.colour, linewidth=1.2)
    panel.plot(x, value, style.marker, color=style.colour, markersize=5.5)
    return value, low, high


def _bounded(row: pd.Series, quantity: str) -> tuple[float, float, float]:
    """Return value and interval, limited to the range of the quantity."""
    value, low, high = (float(row.get(f"{quantity}{part}", np.nan)) for part in ("", "_low", "_high"))
    limits = limited(low, high, value, ceiling_of(quantity))
    return value, float(limits[0]), float(limits[1])


TRADE_OFF = Plot(trade_off, height=3.2, rows=lines_of_trade_off, narrow=1.5)
