"""What figures of several quantities share: titles, limits, intervals, and the legend of networks."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from gradlens import catalogue
from gradlens.plots import canvas
from gradlens.plots.colours import PALE, Style
from gradlens.plots.limits import at_least

SLIM = 1.4  # smallest width of a panel in inches
ABREAST = 3  # panels side by side in a figure of the preferred width, so that their titles fit
TALL = 13  # lines of text that a further row of panels takes
BETWEEN = 0.45  # inches beside a panel that its title may take, before axes grow during layout
LOSSES = ("train_loss", "loss")
INTERVAL = "95 % t interval over seeds"
LEAST = 0.25  # smallest range of the axis of a quantity between 0 and 1
QUANTITIES = {entry.name: entry.figure for entry in catalogue.QUANTITIES if entry.figure}
"""Titles of the panels."""


def further_lines(panels: int) -> int:
    """Return the number of lines of text that the rows of panels after the first add to a figure."""
    return TALL * ((panels - 1) // ABREAST)


def panel_title(quantity: str, whole: pd.DataFrame) -> str:
    """Return the title of a panel; a rarefied duplication has its number of signals."""
    title, column = QUANTITIES[quantity], catalogue.size_column(quantity)
    if not column or "m" not in whole:
        return title
    rows = whole[whole["metric"] == quantity]["m"] if "metric" in whole else whole.get(column, whole["m"])
    sizes = rows.dropna().unique()
    return title.replace("D_m", f"D_m, m = {int(sizes[0])}") if len(sizes) == 1 else title


def dressed(panel: Axes, title: str) -> None:
    """Give a panel its title, without the number of signals if it is too narrow, and a grid behind the data."""
    canvas.tidy(panel)
    short = re.sub(r", m = \d+", "", title)
    canvas.headline(
        panel, canvas.first_that_fits([title, short], canvas.inches(panel)[0] + BETWEEN, bold=True)
    )
    panel.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)


def limited(
    low: ArrayLike, high: ArrayLike, means: ArrayLike, ceiling: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return intervals limited to the range of their quantity: 0 (or the lowest mean, if it is negative) to 1.

    An unbiased CKA can be slightly negative.

    Args:
        low: lower ends, or one.
        high: upper ends, or one.
        means: the values that they belong to.
        ceiling: upper limit; infinite for a loss.

    >>> limited(np.array([-0.2]), np.array([1.3]), np.array([0.5]))
    (array([0.]), array([1.]))
    >>> limited(np.array([-0.2]), np.array([0.1]), np.array([-0.05]))[0]
    array([-0.05])
    """
    floor = np.nanmin(np.append(means, 0.0))
    return np.maximum(low, floor), np.minimum(high, ceiling)


def ceiling_of(quantity: str) -> float:
    """Return the largest value of a quantity."""
    return np.inf if quantity in LOSSES else 1.0


def limits_of(values: Iterable[float], quantity: str) -> tuple[float, float]:
    """Return the limits of the axis of a quantity, wide enough that small differences look small."""
    values = [float(value) for value in values if np.isfinite(value)]
    if quantity in LOSSES:
        return 0.0, 1.08 * max(values, default=1.0) or 1.0
    if quantity in catalogue.QUALITIES:
        return 0.0, 1.0
    return at_least(values, LEAST, (0.0, 1.0))


def interval_label(*, cut: bool) -> str:
    """Return the entry of the legend of intervals; ``cut`` if one leaves the range of its quantity.

    >>> interval_label(cut=True)
    '95 % t interval over seeds, cut off at 0 and 1'
    """
    return f"{INTERVAL}, cut off at 0 and 1" if cut else INTERVAL


def networks_legend(styles: dict[str, Style]) -> list[Line2D]:
    """Return one entry of the legend per network."""
    return [
        Line2D([], [], color=style.colour, marker=style.marker, ls=style.line, lw=0.9, ms=4.8,
               label=canvas.plain(network))
        for network, style in styles.items()
    ]  # fmt: skip
