"""The gradient along time: the size at each step of each recurrent layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradlens.plots import canvas, order
from gradlens.plots.colours import MUTED, PALE, POSITIONS
from gradlens.plots.plot import Plot

DASHES = tuple(dict.fromkeys(style.line for style in POSITIONS))
"""Line style of each network."""


def size_by_step(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the RMS of each layer by step over that at its last step, and dotted what the recurrence carries.

    Args:
        frame: the table ``times``, one row per layer and step.
        ax: where to draw.
    """
    drawn = frame[frame["relative"].notna()] if not frame.empty else frame
    if drawn.empty:
        return canvas.nothing(ax, "no recurrence was measured, or every step is dead")
    ax.set_yscale("log")
    handles, both = [], False
    for index, ((network, signal), rows) in enumerate(drawn.groupby(["network", "signal"], sort=False)):
        style = POSITIONS[index % len(POSITIONS)]
        colour, marker = style.colour, style.marker
        line = DASHES[order.networks(drawn).index(str(network)) % len(DASHES)]
        steps = rows["step"].to_numpy(dtype=float)
        relative, carried = (_positive(rows[column]) for column in ("relative", "carried"))
        ax.plot(steps, relative, line, marker=marker, color=colour, ms=3, lw=1.1, mew=0)
        if np.isfinite(carried).any() and not np.allclose(carried, relative, rtol=0.02, equal_nan=True):
            ax.plot(steps, carried, ":", marker=marker, mfc="none", color=colour, ms=3, lw=1.1, mew=0.7)
            both = True
        name = canvas.plain(f"{network}: {signal}")
        handles.append(Line2D([], [], color=colour, marker=marker, ls=line, ms=4, lw=1.2, label=name))
    if both:
        handles.append(
            Line2D(
                [], [], color=MUTED, ls=":", marker="o", mfc="none", ms=4, label="carried from the last step"
            )
        )
    canvas.tidy(ax)
    ax.axhline(1.0, color=PALE, lw=0.8, zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step, in the order in which the layer runs them")
    ax.set_ylabel("RMS of the gradient over that\nat the last step (log scale)")
    canvas.legend_above(ax, handles, lift=0.08)
    return ax


def _positive(values: pd.Series) -> np.ndarray:
    numbers = values.to_numpy(dtype=float)
    return np.where(numbers > 0, numbers, np.nan)


TIMES = Plot(
    size_by_step, height=2.8, rows=lambda frame: max(2, len(frame[["network", "signal"]].drop_duplicates()))
)
