"""Duplication by stage: the mean over seeds of each network, with its interval as a line."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradlens.catalogue.versions import ENERGY, VERSIONS
from gradlens.errors import GradlensError
from gradlens.graph.stage_order import LAST, in_order
from gradlens.metrics import mean_interval
from gradlens.plots import canvas, order, stage_names
from gradlens.plots.colours import INK, MUTED, PALE, Style, styles_in
from gradlens.plots.plot import ROW, Plot
from gradlens.plots.quantities import interval_label, limited, networks_legend

LABELS = {version.column: version.label for version in VERSIONS}
"""Values of the column ``version`` by name of the version."""
TITLES = {
    version.label: version.title if version.given_loss else f"{version.title}, as measured"
    for version in VERSIONS
}


def duplication_by_stage(frame: pd.DataFrame, ax: Axes, *, version: str = "") -> Axes:
    """Draw one mark per network and stage, with its interval over seeds as a line.

    Args:
        frame: the duplication table, one row per network, seed, stage and version.
        ax: where to draw.
        version: of similarity; by default energy, or the first of a frame without it.

    Raises:
        GradlensError: the frame has no rows of this version.
    """
    if frame.empty:
        return canvas.nothing(ax, "no duplication was measured")
    label = _label(frame, version)
    rows = frame[frame["version"].astype(str) == label]
    column = order.duplication_column(rows)
    stages, styles = in_order(frame["stage"]), styles_in(rows)
    _stage_axis(ax, stages, min(0.0, float(np.nanmin([0.0, *rows[column]]))) - 0.03)
    canvas.headline(ax, TITLES[label])
    step = 0.72 / len(styles)
    cut = False
    for slot, (network, style) in enumerate(styles.items()):
        x = np.arange(len(stages)) + (slot - (len(styles) - 1) / 2) * step
        groups = _by_stage(order.of_network(rows, network), stages, column)
        cut |= _draw_network(ax, x, groups, stages, style)
    valued = set(rows.loc[rows[column].notna(), "stage"].astype(str))
    for at, stage in enumerate(stages):
        if stage not in valued:
            ax.text(at, 0.01, "no value", rotation=90, ha="center", fontsize=6, color=MUTED)
    ax.set_ylabel(f"duplication {_title(rows, label)}\n(0 unrelated, 1 copies)")
    canvas.legend_above(ax, _legend(rows, styles, cut=cut), lift=0.28)
    return ax


def _label(frame: pd.DataFrame, version: str) -> str:
    known = list(dict.fromkeys(frame["version"].astype(str)))
    if not version:
        return ENERGY.label if ENERGY.label in known else known[0]
    if LABELS[version] not in known:
        names = ", ".join(name for name, label in LABELS.items() if label in known)
        raise GradlensError(f"version={version}: this table has no such rows; it has {names}")
    return LABELS[version]


def _title(rows: pd.DataFrame, label: str) -> str:
    """Return the symbol of the duplication, with the number of signals of the whole network."""
    whole = rows[(rows["stage"].astype(str) == LAST[-1]) & (rows["version"] == label)]
    return order.duplication_title(whole).replace("m =", "whole: m =")


def _stage_axis(panel: Axes, stages: list[str], low: float) -> None:
    canvas.tidy(panel)
    stage_names.on_axis(panel, stages)
    panel.set_xlim(-0.6, len(stages) - 0.4)
    panel.set_ylim(low, 1.03)
    panel.set_xlabel(order.stage_axis(stages))
    panel.yaxis.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    if stages[-1] == "whole" and len(stages) > 1:
        panel.axvline(len(stages) - 1.5, color=PALE, linewidth=0.8)


def _by_stage(rows: pd.DataFrame, stages: list[str], column: str) -> list[np.ndarray]:
    """Return the values of all seeds at each stage."""
    return [rows.loc[rows["stage"].astype(str) == stage, column].to_numpy(dtype=float) for stage in stages]


def _draw_network(
    panel: Axes, x: np.ndarray, groups: list[np.ndarray], stages: list[str], style: Style
) -> bool:
    """Draw the means of one network, joined between stages, and their intervals; return whether one was cut."""
    means, low, high = np.array([mean_interval(values) for values in groups]).T
    cut = bool((low < min(0.0, np.nanmin([0.0, *means]))).any() or (high > 1).any())
    low, high = limited(low, high, means)
    joined = np.where([stage in LAST for stage in stages], np.nan, means)
    panel.plot(x, joined, style.line, color=style.colour, linewidth=0.6, alpha=0.45, zorder=2)
    panel.vlines(x, low, high, color=style.colour, linewidth=1.3, zorder=3)
    panel.plot(x, means, style.marker, color=style.colour, markersize=4.6, markeredgewidth=0, zorder=4)
    return cut


def _legend(rows: pd.DataFrame, styles: dict[str, Style], *, cut: bool) -> list[Line2D]:
    handles = networks_legend(styles)
    if len(rows["seed"].unique()) > 1:
        interval = interval_label(cut=cut)
        handles.append(Line2D([], [], color=INK, marker="|", ls="", ms=9, mew=1.2, label=interval))
    return handles


def lines_of_names(frame: pd.DataFrame) -> int:
    """Return the number of lines of text that the names of the stages add to the figure."""
    return stage_names.lines(in_order(frame["stage"]), ROW, 2 * stage_names.PANEL)


DUPLICATION = Plot(duplication_by_stage, height=3.0, versions=True, rows=lines_of_names)
