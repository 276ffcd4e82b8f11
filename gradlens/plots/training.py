"""Duplication, losses and accuracy along a training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from gradlens import catalogue
from gradlens.metrics import mean_interval
from gradlens.plots import along, canvas, order
from gradlens.plots.colours import INK, Style, styles_in
from gradlens.plots.plot import Plot
from gradlens.plots.quantities import (
    INTERVAL,
    LOSSES,
    ceiling_of,
    further_lines,
    limited,
    limits_of,
    networks_legend,
    panel_title,
)

WIDE = 30.0  # ratio of losses above which their axis is logarithmic


def lines_of_training(frame: pd.DataFrame) -> int:
    """Return the number of lines that further rows of panels add to the figure of a training."""
    return further_lines(len(_trained(frame)))


def along_training(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the mean and 95 % t interval over seeds at each measured step, one panel per quantity.

    A band ends at 0 (on a logarithmic axis, at its lower limit), and at 1 unless it is of a loss.

    Args:
        frame: the trajectory table.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "nothing was trained")
    styles = styles_in(frame)
    metrics = _trained(frame)
    along.draw(ax, [_panel(frame, quantity, styles) for quantity in metrics])
    handles: list[Artist | tuple[Artist, ...]] = [*networks_legend(styles)]
    if len(frame["seed"].unique()) > 1:
        handles.append(Patch(color=INK, alpha=0.15, lw=0, label=f"{INTERVAL}, cut off at 0"))
    canvas.legend_above(ax, handles, lift=0.28)
    return ax


def _trained(frame: pd.DataFrame) -> list[str]:
    return [
        quantity for quantity in (*catalogue.HEADLINES, *LOSSES, *catalogue.QUALITIES) if quantity in frame
    ]


def _panel(frame: pd.DataFrame, quantity: str, styles: Mapping[str, Style]) -> along.Panel:
    floor = _floor_if_wide(frame[quantity]) if quantity in LOSSES else 0.0
    lines = [_line(frame, network, quantity, style, floor) for network, style in styles.items()]
    low, high = limits_of(np.concatenate([line.all for line in lines]), quantity)
    return along.Panel(panel_title(quantity, frame), lines, (floor or low, high), floor > 0)


def _line(frame: pd.DataFrame, network: str, quantity: str, style: Style, floor: float) -> along.Line:
    """Return the means of one network and their band above the floor."""
    rows = order.of_network(frame, network)
    steps = np.unique(rows["step"])
    values = [rows.loc[rows["step"] == step, quantity].to_numpy(dtype=float) for step in steps]
    means, low, high = np.array([mean_interval(value) for value in values]).T
    low, high = limited(low, high, means, ceiling_of(quantity))
    return along.Line(style, steps, means, np.maximum(low, floor) if floor else low, high)


def _floor_if_wide(values: pd.Series) -> float:
    """Return the lower limit of a logarithmic axis if losses differ much, as before and after a training; else 0."""
    positive = values[values > 0]
    wide = not positive.empty and positive.max() > WIDE * positive.min()
    return float(positive.min()) / 1.5 if wide else 0.0


TRAJECTORY = Plot(along_training, height=3.0, rows=lines_of_training, narrow=1.5)
