"""Panels with a row per stage, in which each series of values has a mark and an interval; names may be long."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradlens.plots import canvas, order, stage_names, subplots
from gradlens.plots.colours import MUTED, PALE, Style

ABREAST = 3  # panels side by side
LEAST = 1.5  # smallest width of a panel with its gap, in inches
BETWEEN = 0.28  # inches between two panels side by side
APART = 0.055  # inches between the marks of two series in a row
LOWEST = 0.17  # height of a row, in inches
AROUND = 0.98  # inches for the title, the axis and its label of each row of panels
ABOVE = 0.55  # inches above the panels, for the legend


@dataclass(frozen=True)
class Series:
    """What is drawn of one loss or version in each stage.

    Attributes:
        label: in the legend.
        style: colour, marker and line.
        values: one row per stage, with the columns ``value``, ``low`` and ``high``.
        filled: whether its marks are filled.
    """

    label: str
    style: Style
    values: pd.DataFrame
    filled: bool = True

    def handle(self) -> Line2D:
        """Return its entry of the legend."""
        face = self.style.colour if self.filled else "white"
        return Line2D([], [], color=self.style.colour, marker=self.style.marker, ls=self.style.line, lw=0.7, ms=4.6,
                      mfc=face, mew=0.9, label=canvas.plain(self.label))  # fmt: skip


def by_stage(rows: pd.DataFrame, stage: str, value: str) -> pd.DataFrame:
    """Return value and interval by stage; of several seeds the mean of the values.

    Args:
        rows: one row per stage, or per stage and seed.
        stage: the column with the stage.
        value: the column with the value; its interval is in ``<value>_low`` and ``<value>_high``, or its half-width in
            ``<value>_reach``, if it has one.
    """
    middle = rows[value].astype(float)
    missing = pd.Series(np.nan, index=rows.index)
    reach = rows.get(f"{value}_reach", missing).astype(float)
    low, high = (rows.get(f"{value}_{end}", missing).astype(float) for end in ("low", "high"))
    means = pd.DataFrame({"value": middle, "low": low, "high": high, "reach": reach}).groupby(
        rows[stage].astype(str), sort=False
    ).mean()  # fmt: skip
    means["low"] = means["low"].fillna(means["value"] - means["reach"])
    means["high"] = means["high"].fillna(means["value"] + means["reach"])
    return means[["value", "low", "high"]]


def height(networks: int, stages: int, series: int, width: float) -> float:
    """Return the height of a figure with a panel per network, in inches."""
    deep = -(-networks // columns(networks, width))
    return ABOVE + deep * (AROUND + stages * max(LOWEST, 0.11 + APART * series))


def columns(networks: int, width: float) -> int:
    """Return how many panels are side by side in a figure of this width, in inches."""
    return subplots.columns_that_fit(networks, ABREAST, LEAST, max(width - 1.3, LEAST))


def with_values(rows: pd.DataFrame, stage: str, *columns: str) -> pd.DataFrame:
    """Return the rows of the stages in which a network has a number in one of the columns."""
    if rows.empty:
        return rows
    return rows[rows[stage].isin(rows.loc[rows[[*columns]].notna().any(axis=1), stage])]


def draw(
    ax: Axes,
    panels: Mapping[str, Sequence[Series]],
    stages: Sequence[str],
    limits: tuple[float, float],
    unit: str,
) -> list[Axes]:
    """Draw a panel per network with a row per stage, the input at the top, and return the panels.

    Args:
        ax: where to draw; divided into panels.
        panels: the series of each network.
        stages: the rows of all panels.
        limits: of the axis of values; an interval beyond them is cut off.
        unit: label of that axis.
    """
    figure = ax.get_figure(root=True)
    across = columns(len(panels), figure.get_figwidth() if figure is not None else 0.0)
    deep = -(-len(panels) // across)
    divided = subplots.panels(ax, deep, across, across=BETWEEN, down=0.72)
    for spare in divided[len(panels) :]:
        spare.set_axis_off()
    for index, (panel, (network, series)) in enumerate(zip(divided, panels.items(), strict=False)):
        axes(panel, stages, limits, order.stage_axis(stages) if index % across == 0 else "")
        for slot, one in enumerate(series):
            marks(panel, one, stages, slot - (len(series) - 1) / 2, limits)
        _without_value(panel, series, stages, limits[0])
        panel.set_xlabel(unit)
        canvas.headline(panel, network)
    return divided[: len(panels)]


def axes(panel: Axes, rows: Sequence[str], limits: tuple[float, float], title: str) -> None:
    """Set up a panel with these rows, the first one at the top; without a title their names are left out."""
    canvas.tidy(panel)
    panel.set_xlim(*limits)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    names = [canvas.plain(stage_names.short(name, stage_names.LONGEST)) for name in rows]
    panel.set_yticks(range(len(rows)), names if title else [""] * len(rows))
    panel.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    panel.set_ylabel(title)
    if rows and rows[-1] == "whole" and len(rows) > 1:
        panel.axhline(len(rows) - 1.5, color=PALE, linewidth=1.0)


def marks(panel: Axes, series: Series, rows: Sequence[str], slot: float, limits: tuple[float, float]) -> None:
    """Draw the marks of one series with their intervals, joined within a part of the network.

    Args:
        panel: with axes of these rows.
        series: its values by row.
        rows: names of the rows.
        slot: position of its marks in a row: 0 is the middle.
        limits: at which intervals are cut off.
    """
    values = series.values.reindex(list(rows)).to_numpy(dtype=float)
    apart = len(rows) * APART / max(canvas.inches(panel)[1], APART)
    y = np.arange(len(rows)) + slot * min(apart, 0.2)
    style = series.style
    for _, run in groupby(range(len(rows)), key=lambda at: _part(rows[at])):
        at = list(run)
        panel.plot(values[at, 0], y[at], style.line, color=style.colour, linewidth=0.7, alpha=0.45, zorder=2)
    low, high = (np.clip(values[:, column], *limits) for column in (1, 2))
    panel.hlines(y, low, high, color=style.colour, linewidth=1.3, zorder=3)
    face = style.colour if series.filled else "white"
    panel.plot(values[:, 0], y, style.marker, color=style.colour, markerfacecolor=face, markersize=4.6,
               markeredgewidth=0.9, zorder=4, clip_on=False)  # fmt: skip


def _part(stage: str) -> str:
    """Return the part of the network that a stage belongs to: its name without numbers, within which marks are joined.

    >>> _part("16"), _part("neck 16 top-down"), _part("head 8 box")
    ('', 'neck  top-down', 'head  box')
    """
    return re.sub(r"\d+", "", stage)


def _without_value(panel: Axes, series: Sequence[Series], stages: Sequence[str], left: float) -> None:
    """Write where a network has no value at all."""
    valued = {stage for one in series for stage in one.values.index[one.values["value"].notna()]}
    for at, stage in enumerate(stages):
        if stage not in valued:
            panel.text(left, at, " no value", va="center", fontsize=6, color=MUTED)
