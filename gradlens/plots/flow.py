"""Gradient flow: the size of each signal against its depth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation

from gradlens.plots import canvas, order
from gradlens.plots.colours import MUTED, PALE, styles_in
from gradlens.plots.plot import Plot


def flow_over_depth(frame: pd.DataFrame, ax: Axes) -> Axes:
    """RMS on a log scale with the fitted slope; dead signals stand as ticks at the bottom.

    Args:
        frame: the flow table, a row a signal.
        ax: where to draw.
    """
    if frame.empty:
        return canvas.nothing(ax, "no signal was measured")
    looks = styles_in(frame)
    ax.set_yscale("log")
    handles, dead = [], 0
    for place, (network, look) in enumerate(looks.items()):
        rows = order.of_network(frame, network)
        live = is_live(rows)
        depth, rms = rows["depth"].to_numpy(dtype=float), rows["rms"].to_numpy(dtype=float)
        ax.plot(depth[live], rms[live], look.marker, color=look.colour, markersize=3.6, alpha=0.8, mew=0)
        slope, start = fitted_slope(depth[live], rms[live])
        if math.isfinite(slope):
            ends = np.array([depth[live].min(), depth[live].max()])
            ax.plot(ends, 10 ** (start + slope * ends), look.line, color=look.colour, linewidth=1.2)
        _rug(ax, depth[~live], place, look.colour)
        dead += int((~live).sum())
        handles.append(
            Line2D([], [], color=look.colour, marker=look.marker, ls=look.line, ms=4, lw=1.2,
                   label=f"{canvas.plain(network)}: {_slope_text(slope)}")
        )  # fmt: skip
    if dead:
        handles.append(Line2D([], [], color=MUTED, marker="|", ls="", ms=7, label=f"dead signals ({dead})"))
    _axes(ax, any_live=bool(is_live(frame).any()))
    canvas.legend_above(ax, handles, lift=0.08)
    return ax


def is_live(rows: pd.DataFrame) -> np.ndarray:
    """Signals that are not dead and have a size to draw."""
    rms = rows["rms"].to_numpy(dtype=float)
    live: np.ndarray = ~rows["dead"].to_numpy(dtype=bool) & np.isfinite(rms) & (rms > 0)
    return live


def fitted_slope(depth: np.ndarray, rms: np.ndarray) -> tuple[float, float]:
    """Least squares of log10 RMS on depth: slope in decades a layer, and intercept.

    NaN where fewer than two depths are present.

    >>> slope, start = fitted_slope(np.array([0.0, 1.0, 2.0]), np.array([1.0, 10.0, 100.0]))
    >>> round(slope, 6)
    1.0
    """
    if np.unique(depth).size < 2:
        return math.nan, math.nan
    slope, start = np.polyfit(depth, np.log10(rms), 1)
    return float(slope), float(start)


def _slope_text(slope: float) -> str:
    if math.isnan(slope):
        return "no slope (fewer than two live signals)"
    return f"{slope:+.4f} decades a layer".replace("-", "\N{MINUS SIGN}")


def _rug(ax: Axes, depth: np.ndarray, place: int, colour: str) -> None:
    low = 0.012 + 0.045 * place
    ax.vlines(depth, low, low + 0.035, transform=ax.get_xaxis_transform(), color=colour, linewidth=1.0)


def _axes(ax: Axes, *, any_live: bool) -> None:
    canvas.tidy(ax)
    ax.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(2, 0.4)))
    ax.tick_params(which="minor", labelsize=canvas.SMALL - 1, labelcolor=MUTED)
    ax.yaxis.grid(True, color=PALE, linewidth=0.4)
    ax.set_axisbelow(True)
    ax.set_xlabel("depth (weighted layers from the input)")
    ax.set_ylabel("RMS of the signal per element\n(log scale, summed loss)")
    ax.margins(x=0.02, y=0.12)
    if not any_live:
        ax.set_yscale("linear")
        ax.set_yticks([])
        ax.text(0.5, 0.5, "every signal is dead", transform=ax.transAxes, ha="center",
                fontsize=canvas.NORMAL, color=MUTED)  # fmt: skip


FLOW = Plot(flow_over_depth, height=3.0, rows=lambda frame: max(2, len(order.networks(frame))))
