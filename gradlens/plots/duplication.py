"""Duplication by stage: the mean over seeds, its interval, and the seeds themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradlens.catalogue.versions import DIRECTION, DIRECTION_GIVEN_LOSS, ENERGY, ENERGY_GIVEN_LOSS
from gradlens.metrics import mean_interval
from gradlens.plots import canvas, order, subplots
from gradlens.plots.colours import INK, MUTED, PALE, Style, styles_in
from gradlens.plots.plot import Plot

PANELS = {
    "as measured": (ENERGY.label, DIRECTION.label),
    "given the loss": (ENERGY_GIVEN_LOSS.label, DIRECTION_GIVEN_LOSS.label),
}


def duplication_by_stage(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw two panels, as measured and given the loss; filled marks show energy, open marks direction.

    Args:
        frame: the duplication table, one row per network, seed, stage and version.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "no duplication was measured")
    stages = order.stages(frame["stage"])
    styles = styles_in(frame)
    drawn, columns = subplots.grid(ax, len(PANELS), len(PANELS), 2.0, across=0.25)
    low = min(0.0, float(np.nanmin([0.0, *frame[order.duplication_column(frame)]]))) - 0.03
    for panel, (title, versions) in zip(drawn, PANELS.items(), strict=True):
        _stage_axis(panel, stages, low)
        canvas.headline(panel, title)
        _draw_series(panel, frame, versions, stages, styles)
    for index, panel in enumerate(drawn):
        if index % columns:
            panel.tick_params(labelleft=False)
        else:
            panel.set_ylabel(f"duplication {_title(frame)}\n(0 unrelated, 1 copies)")
    canvas.legend_above(ax, _legend(frame, styles), lift=0.28)
    return ax


def _title(frame: pd.DataFrame) -> str:
    """Return the symbol of the duplication, with the number of signals of the whole network."""
    whole = frame[(frame["stage"].astype(str) == order.LAST[-1]) & (frame["version"] == ENERGY.label)]
    title = order.duplication_title(whole)
    return title.replace("m =", "whole: m =")


def _stage_axis(panel: Axes, stages: list[str], low: float) -> None:
    canvas.tidy(panel)
    labels = [canvas.plain(canvas.shorten(stage, 12)) for stage in stages]
    crowded = sum(len(label) + 1 for label in labels) > 50
    panel.set_xticks(range(len(stages)), labels, rotation=90 if crowded else 0)
    panel.set_xlim(-0.6, len(stages) - 0.4)
    panel.set_ylim(low, 1.03)
    panel.set_xlabel(order.stage_axis(stages))
    panel.yaxis.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    if stages[-1] == "whole" and len(stages) > 1:
        panel.axvline(len(stages) - 1.5, color=PALE, linewidth=0.8)


def _draw_series(
    panel: Axes,
    frame: pd.DataFrame,
    versions: tuple[str, ...],
    stages: list[str],
    styles: dict[str, Style],
) -> None:
    column, step = order.duplication_column(frame), 0.88 / len(styles)
    point = len(stages) / (72 * canvas.inches(panel)[0])  # in stages
    ring = float(np.clip(0.5 * step / point, 2.4, 5.2))
    wing = min(0.42 * step, (ring / 2 + 2.2) * point)
    for slot, (network, style) in enumerate(styles.items()):
        rows = order.of_network(frame, network)
        x = np.arange(len(stages)) + (slot - (len(styles) - 1) / 2) * step
        for version, side, size in zip(versions, (-1, 1), (0.62 * ring, ring), strict=True):
            subset = rows[rows["version"] == version]
            groups = [
                subset.loc[subset["stage"].astype(str) == stage, column].to_numpy(dtype=float)
                for stage in stages
            ]
            _draw_means(panel, x, groups, stages, style, filled=side < 0, size=size)
            _draw_spread(panel, x + side * wing, groups, style, float(np.clip(0.5 * ring, 1.6, 2.2)))
    valued = set(frame.loc[frame[column].notna(), "stage"].astype(str))
    for at, stage in enumerate(stages):
        if stage not in valued:
            panel.text(at, 0.01, "no value", rotation=90, ha="center", fontsize=6, color=MUTED)


def _draw_means(
    panel: Axes,
    x: np.ndarray,
    groups: list[np.ndarray],
    stages: list[str],
    style: Style,
    *,
    filled: bool,
    size: float,
) -> None:
    """Draw the means of one network and version, joined between stages; filled marks are smaller than open ones."""
    means = np.array([mean_interval(values).mean for values in groups])
    joined = np.where([stage in order.LAST for stage in stages], np.nan, means)
    panel.plot(x, joined, style.line, color=style.colour, linewidth=0.6, alpha=0.45, zorder=2)
    panel.plot(
        x,
        means,
        style.marker,
        color=style.colour,
        markersize=size,
        markerfacecolor=style.colour if filled else "white",
        markeredgewidth=0.0 if filled else 0.8,
        zorder=5 if filled else 4,
    )


def _draw_spread(panel: Axes, x: np.ndarray, groups: list[np.ndarray], style: Style, size: float) -> None:
    """Draw the interval next to the mean as a line, and one dot per seed on it."""
    if max(map(len, groups)) < 2:
        return
    _, low, high = np.array([mean_interval(values) for values in groups]).T
    panel.vlines(x, low, high, color=style.colour, linewidth=0.8, zorder=3)
    at = np.repeat(x, [len(values) for values in groups])
    panel.plot(at, np.concatenate(groups), ".", color=style.colour, ms=2 * size, mew=0, zorder=6)


def _legend(frame: pd.DataFrame, styles: dict[str, Style]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, ls=style.line, lw=0.9, ms=4.8,
               label=canvas.plain(network))
        for network, style in styles.items()
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
