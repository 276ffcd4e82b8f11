"""Curves over the number of signals and over their distance, one per network with its band."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS
from gradlens.plots import canvas, order, subplots
from gradlens.plots.colours import MUTED, PALE, styles_in
from gradlens.plots.limits import at_least
from gradlens.plots.plot import Plot

LOWEST = -0.1  # lower limit of the axis of similarities, unless a mean is lower
PANELS = {"as measured": ENERGY.label, "given the loss": ENERGY_GIVEN_LOSS.label}


def rarefaction(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw N_eff over the number of signals of the whole network, as measured and given the loss.

    Args:
        frame: the rarefaction table.
        ax: where to draw; divided into panels.
    """
    return _curves(
        frame, ax, ("m", "n_eff"), ("signals drawn, m", "distinct signals, N_eff(m)"), diagonal=True
    )


def lags(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the mean similarity over the distance in depth order of the whole network.

    Args:
        frame: the lags table.
        ax: where to draw; divided into panels.
    """
    return _curves(
        frame, ax, ("lag", "similarity"), ("layers apart, k", "mean similarity (CKA)"), diagonal=False
    )


def _curves(
    frame: pd.DataFrame, ax: Axes, columns: tuple[str, str], labels: tuple[str, str], *, diagonal: bool
) -> Axes:
    """Draw one curve per network, one panel per version, with the 95 % interval as a band."""
    whole = frame[frame["stage"].astype(str) == "whole"] if not frame.empty else frame
    if whole.empty:
        return canvas.nothing(ax, "there are no two signals to compare")
    styles, (x, y) = styles_in(whole), columns
    most_y = float(np.nanmax([1.0, *whole[y].to_numpy(float)]))
    limits = at_least([0.0, *whole[y].to_numpy(float)], 1.1, (LOWEST, 1.0))
    drawn, across = subplots.grid(ax, len(PANELS), len(PANELS), 2.0, across=0.25)
    for index, (panel, (title, version)) in enumerate(zip(drawn, PANELS.items(), strict=True)):
        for network, style in styles.items():
            rows = order.of_network(whole[whole["version"] == version], network).sort_values(x)
            if rows.empty:
                continue
            values, reach = rows[y].to_numpy(float), np.nan_to_num(rows[f"{y}_reach"].to_numpy(float))
            panel.plot(rows[x], values, style.line, color=style.colour, lw=1.2)
            panel.fill_between(rows[x], values - reach, values + reach, color=style.colour, alpha=0.15, lw=0)
        _dress(panel, title, labels, first=not index % across)
        if not diagonal:
            panel.set_ylim(*limits)
        else:
            most = float(whole[x].max())
            panel.plot([1, most], [1, most], color=MUTED, lw=0.8, ls=":", zorder=1)
            panel.set_ylim(0, most_y * 1.15)
    handles = [
        Line2D([], [], color=style.colour, ls=style.line, lw=1.2, label=canvas.plain(network))
        for network, style in styles.items()
    ]
    if diagonal:
        handles.append(Line2D([], [], color=MUTED, lw=0.8, ls=":", label="unrelated signals"))
    canvas.legend_above(ax, handles, lift=0.28)
    return ax


def _dress(panel: Axes, title: str, labels: tuple[str, str], *, first: bool) -> None:
    canvas.tidy(panel)
    canvas.headline(panel, title)
    panel.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panel.set_xlabel(labels[0])
    if first:
        panel.set_ylabel(labels[1])


RAREFACTION = Plot(rarefaction, height=3.0, narrow=1.6)
LAGS = Plot(lags, height=3.0, narrow=1.6)
