"""Gradient paths: their lengths over depth, their distribution, and structural duplication."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from gradlens.plots import canvas, order
from gradlens.plots.colours import INK, MUTED, PALE, styles_in


def lengths_over_depth(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Shortest to longest path as a band, the mean over paths and the energy-weighted mean in it.

    Args:
        frame: the paths table, a row a layer.
        ax: where to draw; a panel a network.
    """
    if frame.empty:
        return canvas.nothing(ax, "the network has no weighted layer")
    looks = styles_in(frame)
    cut, columns = canvas.grid(ax, len(looks), 3, 1.3 if len(looks) > 2 else 2.0, across=0.45, down=0.75)
    top = float(frame["longest"].max())
    for panel, (network, look) in zip(cut, looks.items(), strict=True):
        rows = order.of_network(frame, network)
        place = rows["order"].to_numpy(float)
        panel.fill_between(place, rows["shortest"], rows["longest"], color=PALE, alpha=0.6, linewidth=0)
        panel.plot(place, rows["mean_length"], ":", color=MUTED, linewidth=1.2)
        panel.plot(place, rows["effective_length"], "-", color=look.colour, linewidth=1.4)
        _tidy(panel)
        panel.set_ylim(0, top * 1.04)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("layer, from the input to the loss" if len(looks) < 3 else "layer, input to loss")
        canvas.headline(panel, canvas.shorten(network, 72 // (columns + 1)))
    cut[0].set_ylabel("length of the gradient's paths\n(weighted layers)")
    handles = [
        Patch(color=PALE, alpha=0.6, label="shortest to longest"),
        Line2D([], [], color=MUTED, ls=":", lw=1.2, label="mean over paths"),
        Line2D([], [], color=INK, lw=1.4, label="weighted by energy"),
    ]
    canvas.legend_above(ax, handles, lift=0.28)
    return ax


def length_distribution(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Paths to the layer nearest to the input: how many of each length, and how much energy by it.

    Args:
        frame: the path_lengths table.
        ax: where to draw.
    """
    if frame.empty:
        return canvas.nothing(ax, "the network has no weighted layer")
    looks = styles_in(frame)
    handles = []
    for network, look in looks.items():
        rows = order.of_network(frame, network)
        first = rows[rows["order"] == rows["order"].min()]
        length = first["length"].to_numpy(int)
        every = np.arange(length.min(), length.max() + 1)
        for column, line, width in (("share", ":", 1.2), ("energy_share", "-", 1.6)):
            heights = np.zeros(len(every))
            heights[length - length.min()] = first[column].to_numpy(float)
            ax.plot(every, heights, line, marker=look.marker, color=look.colour, linewidth=width, ms=3.2)
        name = canvas.plain(canvas.shorten(f"{network}, to {first['layer'].iloc[0]}", 48))
        handles.append(Line2D([], [], color=look.colour, marker=look.marker, ms=3.2, lw=1.6, label=name))
    handles += [
        Line2D([], [], color=MUTED, ls=":", lw=1.2, label="share of paths"),
        Line2D([], [], color=MUTED, ls="-", lw=1.6, label="share of energy"),
    ]
    _tidy(ax)
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("length of the path from the loss (weighted layers)")
    ax.set_ylabel("share")
    canvas.legend_above(ax, handles, lift=0.08)
    return ax


def structure_by_stage(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Structural duplication by stage, a mark a network.

    Args:
        frame: the structure table.
        ax: where to draw.
    """
    known = frame[frame["structural_duplication"].notna()] if not frame.empty else frame
    if known.empty:
        return canvas.nothing(ax, "no stage has two weighted layers")
    looks = styles_in(known)
    stages = order.stages(known["stage"])
    apart = 0.5 / max(len(looks), 1)
    handles = []
    for place, (network, look) in enumerate(looks.items()):
        rows = order.of_network(known, network)
        x = np.array([stages.index(str(stage)) for stage in rows["stage"]], dtype=float)
        x += (place - (len(looks) - 1) / 2) * apart
        y = rows["structural_duplication"].to_numpy(float)
        ax.vlines(x, 0, y, color=look.colour, linewidth=1.0)
        ax.plot(x, y, look.marker, color=look.colour, markersize=4.5)
        handles.append(
            Line2D([], [], color=look.colour, marker=look.marker, ls="", ms=4.5, label=canvas.plain(network))
        )
    _tidy(ax)
    ax.set_xticks(range(len(stages)), [canvas.plain(canvas.shorten(stage, 18)) for stage in stages])
    ax.set_xlim(-0.6, len(stages) - 0.4)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("stage (output stride)")
    ax.set_ylabel("structural duplication\n(overlap of sources)")
    canvas.legend_above(ax, handles, lift=0.08)
    return ax


def _tidy(ax: Axes) -> None:
    canvas.tidy(ax)
    ax.yaxis.grid(True, color=PALE, linewidth=0.4)
    ax.set_axisbelow(True)
    ax.margins(x=0.02)
