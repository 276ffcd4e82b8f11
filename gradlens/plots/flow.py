"""Gradient flow: the size of each signal against its depth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation

from gradlens.catalogue.mapped import SIGNAL_QUANTITIES
from gradlens.metrics import fitted_line
from gradlens.numbers import fixed
from gradlens.plots import canvas, order
from gradlens.plots.colours import MUTED, PALE, styles_in
from gradlens.plots.limits import at_least
from gradlens.plots.plot import Plot

(RMS,) = (entry.title for entry in SIGNAL_QUANTITIES if entry.name == "rms")
DEPTH = "depth from the input (weighted layers)"
DECADES = 1.0  # smallest range of the axis


def flow_over_depth(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the RMS on a log scale with the fitted slope; dead signals are ticks at the bottom.

    Args:
        frame: the flow table, one row per signal.
        ax: where to draw.
    """
    if frame.empty:
        return canvas.nothing(ax, "no signal was measured")
    styles = styles_in(frame)
    ax.set_yscale("log")
    handles, dead = [], 0
    for index, (network, style) in enumerate(styles.items()):
        rows = order.of_network(frame, network)
        live = is_live(rows)
        depth, rms = rows["depth"].to_numpy(dtype=float), rows["rms"].to_numpy(dtype=float)
        ax.plot(depth[live], rms[live], style.marker, color=style.colour, markersize=3.6, alpha=0.8, mew=0)
        slope, intercept = fitted_line(depth[live], np.log10(rms[live]))
        if math.isfinite(slope):
            ends = np.array([depth[live].min(), depth[live].max()])
            ax.plot(ends, 10 ** (intercept + slope * ends), style.line, color=style.colour, linewidth=1.2)
        _rug(ax, depth[~live], index, style.colour)
        dead += int((~live).sum())
        handles.append(
            Line2D([], [], color=style.colour, marker=style.marker, ls=style.line, ms=4, lw=1.2,
                   label=f"{canvas.plain(network)} ({_slope_text(slope)})")
        )  # fmt: skip
    handles.append(Line2D([], [], ls="", label="(slope of the line: decades per layer)"))
    if dead:
        handles.append(Line2D([], [], color=MUTED, marker="|", ls="", ms=7, label=f"dead signals ({dead})"))
    _axes(ax, frame["rms"].to_numpy(dtype=float)[is_live(frame)])
    canvas.legend_above(ax, handles, lift=0.08)
    return ax


def is_live(rows: pd.DataFrame) -> np.ndarray:
    """Return which signals are not dead and have an RMS above zero."""
    rms = rows["rms"].to_numpy(dtype=float)
    live: np.ndarray = ~rows["dead"].to_numpy(dtype=bool) & np.isfinite(rms) & (rms > 0)
    return live


def _slope_text(slope: float) -> str:
    return "no slope" if math.isnan(slope) else fixed(slope, 4, sign=True)


def _rug(ax: Axes, depth: np.ndarray, row: int, colour: str) -> None:
    low = 0.012 + 0.045 * row
    ax.vlines(depth, low, low + 0.035, transform=ax.get_xaxis_transform(), color=colour, linewidth=1.0)


def _axes(ax: Axes, live: np.ndarray) -> None:
    canvas.tidy(ax)
    ax.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(2, 0.4)))
    ax.tick_params(which="minor", labelsize=canvas.SMALL - 1, labelcolor=MUTED)
    ax.yaxis.grid(True, color=PALE, linewidth=0.4)
    ax.set_axisbelow(True)
    ax.set_xlabel(DEPTH)
    ax.set_ylabel(f"{RMS}\n(log scale, gradient of the summed loss)")
    ax.margins(x=0.02)
    if live.size:
        low, high = at_least(np.log10(live), DECADES)
        ax.set_ylim(10**low, 10**high)
    else:
        ax.set_yscale("linear")
        ax.set_yticks([])
        ax.text(0.5, 0.5, "every signal is dead", transform=ax.transAxes, ha="center",
                fontsize=canvas.NORMAL, color=MUTED)  # fmt: skip


FLOW = Plot(flow_over_depth, height=3.0, rows=lambda frame: max(2, len(order.networks(frame))))
