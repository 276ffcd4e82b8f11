"""Duplication by stage: the mean over seeds, its interval, and the seeds themselves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.special import stdtrit

from gradlens.plots import canvas, order
from gradlens.plots.colours import INK, MUTED, PALE, Style, styles_in
from gradlens.plots.plot import Plot

CONFIDENCE = 0.95
PANELS = {
    "as measured": ("energy", "direction"),
    "given the loss": ("energy given loss", "direction given loss"),
}


def duplication_by_stage(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Two panels, as measured and given the loss; filled marks energy, open ones direction.

    Args:
        frame: the duplication table, a row a network, seed, stage and version.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "no duplication was measured")
    places = order.stages(frame["stage"])
    looks = styles_in(frame)
    drawn, columns = canvas.grid(ax, len(PANELS), len(PANELS), 2.0, across=0.25)
    low = min(0.0, float(np.nanmin([0.0, *frame["duplication"]]))) - 0.03
    for panel, (title, versions) in zip(drawn, PANELS.items(), strict=True):
        _stage_axis(panel, places, low)
        canvas.headline(panel, title)
        _draw_series(panel, frame, versions, places, looks)
    for place, panel in enumerate(drawn):
        if place % columns:
            panel.tick_params(labelleft=False)
        else:
            panel.set_ylabel("duplication D  (0 unrelated, 1 copies)")
    canvas.legend_above(ax, _legend(frame, looks), lift=0.28)
    return ax


def t_interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half width of the 95 % t interval; the width is NaN for one value.

    >>> t_interval(np.array([1.0, 3.0]))[0]
    2.0
    """
    live = values[np.isfinite(values)]
    if live.size == 0:
        return math.nan, math.nan
    if live.size == 1:
        return float(live[0]), math.nan
    quantile = stdtrit(live.size - 1, (1 + CONFIDENCE) / 2)
    return float(live.mean()), float(quantile * live.std(ddof=1) / math.sqrt(live.size))


def _stage_axis(panel: Axes, places: list[str], low: float) -> None:
    canvas.tidy(panel)
    labels = [canvas.plain(canvas.shorten(place, 12)) for place in places]
    crowded = sum(len(label) + 1 for label in labels) > 50
    panel.set_xticks(range(len(places)), labels, rotation=90 if crowded else 0)
    panel.set_xlim(-0.6, len(places) - 0.4)
    panel.set_ylim(low, 1.03)
    panel.set_xlabel(order.stage_axis(places))
    panel.yaxis.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    if places[-1] == "whole" and len(places) > 1:
        panel.axvline(len(places) - 1.5, color=PALE, linewidth=0.8)


def _draw_series(
    panel: Axes,
    frame: pd.DataFrame,
    versions: tuple[str, ...],
    places: list[str],
    looks: dict[str, Style],
) -> None:
    step = 0.88 / len(looks)
    point = len(places) / (72 * canvas.inches(panel)[0])  # in stages
    ring = float(np.clip(0.5 * step / point, 2.4, 5.2))
    wing = min(0.42 * step, (ring / 2 + 2.2) * point)
    for slot, (network, look) in enumerate(looks.items()):
        rows = order.of_network(frame, network)
        x = np.arange(len(places)) + (slot - (len(looks) - 1) / 2) * step
        for version, side, size in zip(versions, (-1, 1), (0.62 * ring, ring), strict=True):
            own = rows[rows["version"] == version]
            groups = [
                own.loc[own["stage"].astype(str) == place, "duplication"].to_numpy(dtype=float)
                for place in places
            ]
            _draw_means(panel, x, groups, places, look, filled=side < 0, size=size)
            _draw_spread(panel, x + side * wing, groups, look, float(np.clip(0.5 * ring, 1.6, 2.2)))
    valued = set(frame.loc[frame["duplication"].notna(), "stage"].astype(str))
    for at, place in enumerate(places):
        if place not in valued:
            panel.text(at, 0.01, "no value", rotation=90, ha="center", fontsize=6, color=MUTED)


def _draw_means(
    panel: Axes,
    x: np.ndarray,
    groups: list[np.ndarray],
    places: list[str],
    look: Style,
    *,
    filled: bool,
    size: float,
) -> None:
    """One network and version: means, joined between stages; an open mark leaves room for a filled one."""
    means = np.array([t_interval(values)[0] for values in groups])
    joined = np.where([place in order.LAST for place in places], np.nan, means)
    panel.plot(x, joined, look.line, color=look.colour, linewidth=0.6, alpha=0.45, zorder=2)
    panel.plot(
        x,
        means,
        look.marker,
        color=look.colour,
        markersize=size,
        markerfacecolor=look.colour if filled else "white",
        markeredgewidth=0.0 if filled else 0.8,
        zorder=5 if filled else 4,
    )


def _draw_spread(panel: Axes, x: np.ndarray, groups: list[np.ndarray], look: Style, size: float) -> None:
    """Beside the mean: its interval as a line, and on that a dot a seed."""
    if max(map(len, groups)) < 2:
        return
    means, halves = np.array([t_interval(values) for values in groups]).T
    panel.vlines(x, means - halves, means + halves, color=look.colour, linewidth=0.8, zorder=3)
    at = np.repeat(x, [len(values) for values in groups])
    panel.plot(at, np.concatenate(groups), ".", color=look.colour, ms=2 * size, mew=0, zorder=6)


def _legend(frame: pd.DataFrame, looks: dict[str, Style]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, ls=look.line, lw=0.9, ms=4.8,
               label=canvas.plain(network))
        for network, look in looks.items()
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=INK, marker="o", ls="", ms=3.2, mew=0, label="energy (left)"),
        Line2D([], [], color=INK, marker="o", ls="", ms=5.0, mfc="white", mew=0.8, label="direction (right)"),
    ]
    if len(frame["seed"].unique()) > 1:
        handles.append(Line2D([], [], color=INK, marker=".", ls="", ms=4.4, mew=0, label="one seed"))
        handles.append(Line2D([], [], color=INK, marker="|", ls="", ms=9, mew=0.8, label="95 % t interval"))
    return handles


DUPLICATION = Plot(duplication_by_stage, height=3.4, narrow=1.6)
