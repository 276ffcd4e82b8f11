"""How the gradient's energy divides between the branches, and whether they add up or cancel."""

from __future__ import annotations

from typing import cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from gradlens.plots import canvas, order, sites, subplots
from gradlens.plots.colours import BRANCH_HATCHES, BRANCHES, INK, MUTED, Style, branch_colours, styles_in
from gradlens.plots.plot import Plot

HIGHEST = 2.0  # smallest upper limit of the axis of coherence: two equal branches


def branch_shares(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw stacked bars of energy share by site below a strip of coherence, one pair of panels per network.

    Args:
        frame: the shares table, one row per branch, sites in depth order.
        ax: where to draw; divided into panels.
    """
    names = order.networks(frame)
    if not names:
        return canvas.nothing(ax, "no tensor of these networks is read by two branches")
    styles = styles_in(frame)
    blocks = subplots.panels(ax, len(names), 1, down=sites.label_room(frame))
    high = coherence_limit(frame)
    for block, network in zip(blocks, names, strict=True):
        strip, bars = subplots.panels(block, 2, 1, down=0.12, heights=(0.38, 0.62))
        rows = order.of_network(frame, network)
        slot, slots = sites.by_site(rows)
        _draw_coherence(strip, rows, slot, slots, styles[network])
        _draw_shares(bars, rows, slot, slots)
        strip.set_ylim(-0.06 * high, 1.06 * high)
        strip.set_yticks([0, 1, high] if high <= 4 else [0, high / 2, high])
        canvas.headline(strip, network, pad=13)
    canvas.legend_above(ax, _legend(frame), lift=0.42)
    return ax


def _draw_coherence(
    strip: Axes, rows: pd.DataFrame, slot: np.ndarray, slots: pd.DataFrame, style: Style
) -> None:
    sites.site_axis(strip, slots, named=False)
    sites.mark_stages(strip, slots)
    value = rows["coherence"].astype(float).groupby(slot).first().to_numpy()
    x = np.arange(len(slots))
    strip.axhline(1.0, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    strip.vlines(x, 1.0, value, color=style.colour, linewidth=0.8, alpha=0.6, zorder=2)
    size = float(np.clip(200 / len(slots), 2.2, 4.2))
    strip.plot(x, value, style.marker, color=style.colour, markersize=size, zorder=3)
    strip.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _name_axis(strip, "coherence")


def coherence_limit(frame: pd.DataFrame) -> float:
    """Return the upper limit of the axis of coherence, which begins at 0: 2, or more if a coherence exceeds it."""
    highest = float(np.nanmax([0.0, *frame["coherence"].astype(float)]))
    return HIGHEST if highest <= HIGHEST else float(np.ceil(highest))


def _name_axis(panel: Axes, text: str) -> None:
    """Label the axis at the same distance on both panels, independent of the width of their tick labels."""
    panel.set_ylabel(text, fontsize=canvas.SMALL)
    figure = cast(Figure, panel.get_figure(root=True))
    panel.yaxis.set_label_coords(
        0, 0.5, panel.transAxes + ScaledTranslation(-0.46, 0, figure.dpi_scale_trans)
    )


def _draw_shares(bars: Axes, rows: pd.DataFrame, slot: np.ndarray, slots: pd.DataFrame) -> None:
    sites.site_axis(bars, slots)
    for at in range(len(slots)):
        branches = rows[slot == at]
        share = np.nan_to_num(branches["share"].to_numpy(dtype=float))
        colours = branch_colours(branches["branch"].astype(str).tolist())
        bars.bar(
            np.full(share.size, at),
            share,
            bottom=np.concatenate([[0.0], share.cumsum()[:-1]]),
            width=0.84,
            color=colours,
            hatch=[BRANCH_HATCHES.get(name, "") for name in branches["branch"].astype(str)],
            edgecolor="white",
            linewidth=min(0.3, 2.4 / share.size),
        )
        if share.sum() == 0:
            bars.plot([at], [0.03], "x", color=MUTED, markersize=4)
    bars.set_ylim(0.0, 1.0)
    _name_axis(bars, "share of energy")


def _legend(frame: pd.DataFrame) -> list[Patch | Line2D]:
    branches = set(frame["branch"].astype(str))
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, hatch=BRANCH_HATCHES.get(name), edgecolor="white", lw=0, label=name)
        for name, colour in BRANCHES.items()
        if name in branches
    ]
    if branches - set(BRANCHES):
        first, last = branch_colours(["first", "last"])
        handles += [
            Patch(facecolor=first, label="first branch"),
            Patch(facecolor=last, label="last branch"),
        ]
    forks = " (forks only)" if frame["coherence"].isna().any() else ""
    handles.append(Line2D([], [], ls="", marker="o", color=INK, ms=4, label=f"coherence{forks}"))
    meaning = "1: neither add up nor cancel"
    handles.append(Line2D([], [], ls=(0, (4, 3)), color=MUTED, lw=0.7, label=meaning))
    return handles


SHARES = Plot(branch_shares, height=3.6, stacked=True)
