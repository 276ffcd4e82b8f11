"""Correlation of the branches at each fork, split and merge, in depth order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS
from gradlens.plots import canvas, order, sites, subplots
from gradlens.plots.colours import INK, MUTED, PALE, Style, styles_in
from gradlens.plots.plot import Plot

KINDS = {"residual": "o", "parallel": "s", "gate": "^", "dense": "D", "other": "h"}


def branch_correlation(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw one panel per network; a site with many pairs shows their median and range.

    Args:
        frame: the branches table, one row per pair of branches, sites in depth order.
        ax: where to draw; divided into panels.
    """
    names = order.networks(frame)
    if not names:
        return canvas.nothing(ax, "no tensor of these networks is read by two branches")
    styles = styles_in(frame)
    divided = subplots.panels(ax, len(names), 1, down=sites.label_room(frame))
    low = _lowest(frame)
    for panel, network in zip(divided, names, strict=True):
        rows = order.of_network(frame, network)
        slot, slots = sites.by_site(rows)
        sites.site_axis(panel, slots)
        sites.mark_stages(panel, slots)
        _draw_pairs(panel, rows, slot, slots, styles[network])
        canvas.headline(panel, network, pad=13)
        panel.set_ylim(low, 1.06)
        panel.axhline(0, color=PALE, linewidth=0.6, zorder=0)
        panel.set_ylabel("similarity of branches\n(CKA, cosine)")
    canvas.legend_above(ax, _legend(frame), lift=0.42)
    return ax


def _draw_pairs(panel: Axes, rows: pd.DataFrame, slot: np.ndarray, slots: pd.DataFrame, style: Style) -> None:
    measured = _spread(rows[ENERGY.column], slot)
    partial = _spread(rows[ENERGY_GIVEN_LOSS.column], slot)
    cosine = _spread(rows["cosine"], slot)
    x = np.arange(len(slots))
    panel.vlines(x - 0.12, measured[0], measured[2], color=style.colour, linewidth=0.9, alpha=0.6)
    panel.vlines(x + 0.12, partial[0], partial[2], color=style.colour, linewidth=0.9, alpha=0.6)
    panel.plot(x, cosine[1], "_", color=INK, markersize=6, markeredgewidth=0.9, zorder=2)
    size = float(np.clip(220 / len(slots), 2.6, 4.8))
    for kind in slots["kind"].unique():
        same = (slots["kind"] == kind).to_numpy()
        marker = KINDS.get(str(kind), KINDS["other"])
        for middle, shift, face in ((measured[1], -0.12, style.colour), (partial[1], 0.12, "white")):
            panel.plot(
                x[same] + shift,
                middle[same],
                marker,
                color=style.colour,
                markerfacecolor=face,
                markersize=size,
                markeredgewidth=0.8,
                zorder=3,
            )
    dead = np.isnan(measured[1])
    panel.plot(x[dead], np.zeros(dead.sum()), "x", color=MUTED, markersize=4, zorder=3)


def _spread(values: pd.Series, slot: np.ndarray) -> np.ndarray:
    """Return the lowest, median and highest value of each slot, ``[3, slots]``."""
    grouped = values.astype(float).groupby(slot)
    return np.array([grouped.min(), grouped.median(), grouped.max()])


def _lowest(frame: pd.DataFrame) -> float:
    drawn = frame[[ENERGY.column, ENERGY_GIVEN_LOSS.column, "cosine"]].to_numpy(dtype=float)
    return min(-0.06, float(np.nanmin(drawn, initial=0.0)) - 0.06)


def _legend(frame: pd.DataFrame) -> list[tuple[Line2D, ...]]:
    """Return the legend: fill shows the version, shape the kind, and an entry has all marks that it explains."""

    def mark(marker: str, label: str, face: str = INK, colour: str = INK) -> Line2D:
        return Line2D([], [], ls="", marker=marker, color=colour, mfc=face, ms=4.8, label=label)

    kinds = list(dict.fromkeys(frame["kind"].astype(str)))
    shapes = list(dict.fromkeys(KINDS.get(kind, KINDS["other"]) for kind in kinds))
    measured, partial = "CKA", "CKA given the loss"
    handles = [
        tuple(mark(shape, measured) for shape in shapes),
        tuple(mark(shape, partial, "white") for shape in shapes),
    ]
    if frame["cosine"].notna().any():
        handles.append((mark("_", "cosine (forks)"),))
    if frame["energy"].isna().any():
        handles.append((mark("x", "no value (dead)", colour=MUTED),))
    if len(kinds) > 1:
        for kind in kinds:
            shape = KINDS.get(kind, KINDS["other"])
            handles.append((mark(shape, kind), mark(shape, kind, "white")))
    return handles


BRANCHES = Plot(branch_correlation, height=3.1, stacked=True)
