"""How the gradient's energy divides over the branches, and whether they add up or cancel."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradlens.plots import canvas, order, sites
from gradlens.plots.colours import BRANCHES, INK, MUTED, Style, branch_colours, styles


def branch_shares(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Stacked bars of energy share by site, and a strip of coherence over them, a network each.

    Args:
        frame: the shares table, a row a branch, sites in depth order.
        ax: where to draw; divided into panels.
    """
    names = order.networks(frame)
    if not names:
        return canvas.nothing(ax, "no tensor of these networks is read by two branches")
    looks = styles(names)
    blocks = canvas.panels(ax, len(names), 1, down=sites.label_room(frame))
    for block, network in zip(blocks, names, strict=True):
        strip, bars = canvas.panels(block, 2, 1, down=0.12, heights=(0.32, 0.68))
        rows = order.of_network(frame, network)
        slot, places = sites.slots(rows)
        _draw_coherence(strip, rows, slot, places, looks[network])
        _draw_shares(bars, rows, slot, places)
        canvas.headline(strip, network, pad=13)
    canvas.legend_above(ax, _legend(frame), lift=0.42)
    return ax


def _draw_coherence(
    strip: Axes, rows: pd.DataFrame, slot: np.ndarray, places: pd.DataFrame, look: Style
) -> None:
    sites.site_axis(strip, places, named=False)
    sites.mark_stages(strip, places)
    value = rows["coherence"].astype(float).groupby(slot).first().to_numpy()
    strip.axhline(1.0, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    strip.plot(
        np.arange(len(places)),
        value,
        look.marker,
        color=look.colour,
        markersize=float(np.clip(200 / len(places), 2.2, 4.2)),
        zorder=3,
    )
    strip.set_ylim(0.0, max(2.0, 1.1 * float(np.nanmax(value, initial=0.0))))
    strip.set_ylabel("coherence", fontsize=canvas.SMALL)
    strip.yaxis.set_label_coords(-0.055, 0.5)


def _draw_shares(bars: Axes, rows: pd.DataFrame, slot: np.ndarray, places: pd.DataFrame) -> None:
    sites.site_axis(bars, places)
    for at in range(len(places)):
        here = rows[slot == at]
        share = np.nan_to_num(here["share"].to_numpy(dtype=float))
        colours = branch_colours(here["branch"].astype(str).tolist())
        bars.bar(
            np.full(share.size, at),
            share,
            bottom=np.concatenate([[0.0], share.cumsum()[:-1]]),
            width=0.84,
            color=colours,
            edgecolor="white",
            linewidth=0.3,
        )
        if share.sum() == 0:
            bars.plot([at], [0.03], "x", color=MUTED, markersize=4)
    bars.set_ylim(0.0, 1.0)
    bars.set_ylabel("share of energy", fontsize=canvas.SMALL)
    bars.yaxis.set_label_coords(-0.055, 0.5)


def _legend(frame: pd.DataFrame) -> list[Patch | Line2D]:
    found = set(frame["branch"].astype(str))
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, label=name) for name, colour in BRANCHES.items() if name in found
    ]
    if found - set(BRANCHES):
        first, last = branch_colours(["first", "last"])
        handles += [
            Patch(facecolor=first, label="first branch"),
            Patch(facecolor=last, label="last branch"),
        ]
    handles.append(Line2D([], [], ls="", marker="o", color=INK, ms=4, label="coherence"))
    handles.append(Line2D([], [], ls=(0, (4, 3)), color=MUTED, lw=0.7, label="1: branches orthogonal"))
    return handles
