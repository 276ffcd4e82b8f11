"""Gradient paths: their lengths over depth, their distribution, and structural duplication."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from gradlens.graph.stage_order import in_order
from gradlens.numbers import fixed
from gradlens.plots import canvas, order, stage_names, subplots
from gradlens.plots.colours import INK, MUTED, PALE, styles_in
from gradlens.plots.plot import ROW, Plot

LENGTH = "length of the path from the loss (weighted layers)"
PANEL, DOWN, WORDS = 1.1, 0.5, 0.85  # inches: one panel of lengths, between two panels, above and below them
NUMBERED = 3.0  # marks per inch of width that have their number beside them
LEAST = 2.5  # inches of width per panel


def lengths_over_depth(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the range from shortest to longest path as a band, with the mean over paths and the energy-weighted mean.

    Args:
        frame: the paths table, one row per layer.
        ax: where to draw; one panel per network.
    """
    if frame.empty:
        return canvas.nothing(ax, "the network has no weighted layer")
    styles = styles_in(frame)
    divided, columns = subplots.grid(
        ax, len(styles), 3, 1.3 if len(styles) > 2 else 2.0, across=0.45, down=0.75
    )
    top = float(frame["longest"].max())
    for panel, (network, style) in zip(divided, styles.items(), strict=True):
        rows = order.of_network(frame, network)
        layer = rows["order"].to_numpy(float)
        panel.fill_between(layer, rows["shortest"], rows["longest"], color=PALE, alpha=0.6, linewidth=0)
        panel.plot(layer, rows["mean_length"], ":", color=MUTED, linewidth=1.2)
        panel.plot(layer, rows["effective_length"], "-", color=style.colour, linewidth=1.4)
        _tidy(panel)
        panel.set_ylim(0, top * 1.04)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_xlabel("layer, from the input to the loss" if len(styles) < 3 else "layer, input to loss")
        canvas.headline(panel, canvas.shorten(network, 72 // (columns + 1)))
    divided[0].set_ylabel("length of the gradient's paths\n(weighted layers)")
    handles = [
        Patch(color=PALE, alpha=0.6, label="shortest to longest"),
        Line2D([], [], color=MUTED, ls=":", lw=1.2, label="mean over paths"),
        Line2D([], [], color=INK, lw=1.4, label="weighted by energy"),
    ]
    canvas.legend_above(ax, handles, lift=0.28)
    return ax


def length_distribution(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the share of paths and of energy by path length, for the layer nearest to the input.

    Args:
        frame: the path_lengths table.
        ax: where to draw; one panel per network, all on the same scales.
    """
    if frame.empty:
        return canvas.nothing(ax, "the network has no weighted layer")
    styles = styles_in(frame)
    firsts = {network: _nearest_to_input(order.of_network(frame, network)) for network in styles}
    drawn = pd.concat(list(firsts.values()))
    lengths, top = drawn["length"], float(np.nan_to_num(drawn[["share", "energy_share"]].max()).max())
    divided, columns = subplots.grid(ax, len(styles), _most_columns(len(styles)), LEAST, down=DOWN)
    for index, (panel, (network, style)) in enumerate(zip(divided, styles.items(), strict=True)):
        rows = firsts[network]
        panel.bar(rows["length"], rows["share"], 0.9, color=PALE)
        panel.bar(rows["length"], rows["energy_share"], 0.4, color=style.colour)
        _tidy(panel)
        panel.set_xlim(lengths.min() - 0.7, lengths.max() + 0.7)
        panel.set_ylim(0, 1.05 * top or 1.0)  # any range if all shares are 0
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(3))
        if index % columns == 0:
            panel.set_ylabel("share")
        if index + columns >= len(divided):
            panel.set_xlabel("length of the path from the loss\n(weighted layers)" if columns > 1 else LENGTH)
        canvas.headline(panel, canvas.shorten(f"{network}, to {rows['layer'].iloc[0]}", 44))
    handles = [
        Patch(color=PALE, label="share of paths"),
        Patch(color=INK, label="share of energy (narrow bars)"),
    ]
    canvas.legend_above(ax, handles, lift=0.25)
    return ax


def lengths_height(frame: pd.DataFrame, width: float) -> float:
    """Return the height of a figure of ``length_distribution`` of this width, both in inches."""
    count = len(order.networks(frame))
    rows = -(-count // subplots.columns_that_fit(count, _most_columns(count), LEAST, canvas.START * width))
    return PANEL * rows + DOWN * (rows - 1) + WORDS


def _nearest_to_input(rows: pd.DataFrame) -> pd.DataFrame:
    nearest: pd.DataFrame = rows[rows["order"] == rows["order"].min()]
    return nearest


def _most_columns(count: int) -> int:
    """Return the largest number of columns; few panels are stacked so that their lengths can be compared."""
    return 1 if count < 4 else 2


def structure_by_stage(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the structural duplication by stage, one mark per network.

    Args:
        frame: the structure table.
        ax: where to draw.
    """
    known = frame[frame["structural_duplication"].notna()] if not frame.empty else frame
    if known.empty:
        return canvas.nothing(ax, "no stage has two weighted layers")
    styles = styles_in(known)
    stages = in_order(known["stage"])
    offset = 0.5 / max(len(styles), 1)
    handles = []
    for index, (network, style) in enumerate(styles.items()):
        rows = order.of_network(known, network)
        x = np.array([stages.index(str(stage)) for stage in rows["stage"]], dtype=float)
        x += (index - (len(styles) - 1) / 2) * offset
        y = rows["structural_duplication"].to_numpy(float)
        ax.vlines(x, 0, y, color=style.colour, linewidth=1.0)
        ax.plot(x, y, style.marker, color=style.colour, markersize=4.5)
        if len(styles) * len(stages) <= NUMBERED * canvas.inches(ax)[0]:
            for at, value in zip(x, y, strict=True):
                ax.annotate(fixed(value, 2), (at, value), (0, 4), textcoords="offset points",
                            ha="center", fontsize=6, color=style.colour)  # fmt: skip
        handles.append(
            Line2D(
                [], [], color=style.colour, marker=style.marker, ls="", ms=4.5, label=canvas.plain(network)
            )
        )
    _tidy(ax)
    stage_names.on_axis(ax, stages)
    ax.set_xlim(-0.6, len(stages) - 0.4)
    ax.set_ylim(0, 1.03)
    ax.set_xlabel(order.stage_axis(stages))
    ax.set_ylabel("structural duplication\n(0 no common source, 1 the same)")
    canvas.legend_above(ax, handles, lift=0.08)
    return ax


def lines_of_structure(frame: pd.DataFrame) -> int:
    """Return the number of lines of text that the names of the stages add to the figure."""
    return stage_names.lines(in_order(frame["stage"]), ROW, 2 * stage_names.PANEL)


def _tidy(ax: Axes) -> None:
    canvas.tidy(ax)
    ax.yaxis.grid(True, color=PALE, linewidth=0.4)
    ax.set_axisbelow(True)
    ax.margins(x=0.02)


STRUCTURE = Plot(structure_by_stage, height=2.3, rows=lines_of_structure)
PATHS = Plot(lengths_over_depth, height=2.9, side_by_side=True)
LENGTHS = Plot(length_distribution, fitted=lengths_height)
