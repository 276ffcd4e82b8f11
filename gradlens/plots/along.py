"""Panels along the steps of a training: one per quantity, with a line and a band per series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from gradlens.plots import subplots
from gradlens.plots.colours import Style
from gradlens.plots.quantities import ABREAST, SLIM, dressed

FEW = 24
"""Steps up to which each has a mark."""
MANY, PART = 60, 30
"""Steps from which on the running median is drawn, and the part of them that it is over."""
PALE_LINE = 0.3  # opacity of the values beside their median


@dataclass(frozen=True)
class Line:
    """What is drawn of one series.

    Attributes:
        style: colour, marker and line.
        steps: of the training, ascending.
        values: at these steps; NaN leaves a gap.
        low: lower end of the band; None without one.
        high: upper end of the band.
        width: of the line, in points.
        smoothed: whether many values are drawn pale, with their running median.
    """

    style: Style
    steps: np.ndarray
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    width: float = 1.1
    smoothed: bool = False

    @property
    def all(self) -> np.ndarray:
        """All numbers that are drawn."""
        return np.concatenate([part for part in (self.values, self.low, self.high) if part is not None])

    @property
    def over(self) -> int:
        """Over how many values the running median is; 1 if each value is drawn alone."""
        many = self.smoothed and len(self.values) > MANY
        return 2 * (len(self.values) // PART // 2) + 1 if many else 1

    @property
    def marked(self) -> list[int]:
        """Which of its values have a mark: all of a few; of many those that no line joins to another."""
        known = np.isfinite(self.values)
        if len(known) <= FEW:
            return list(range(len(known)))
        beside = np.pad(known, 1)
        return [int(at) for at in np.flatnonzero(known & ~beside[:-2] & ~beside[2:])]


@dataclass(frozen=True)
class Panel:
    """One quantity along a training.

    Attributes:
        title: of the panel.
        lines: the series.
        limits: of the axis of values.
        logarithmic: whether that axis is.
        counts: whether the values are whole numbers.
    """

    title: str
    lines: Sequence[Line]
    limits: tuple[float, float]
    logarithmic: bool = False
    counts: bool = False


def draw(ax: Axes, panels: Sequence[Panel]) -> list[Axes]:
    """Draw the panels, and return their axes.

    Args:
        ax: where to draw; divided into panels.
        panels: at least one.
    """
    divided, _ = subplots.grid(ax, len(panels), ABREAST, SLIM, across=0.5)
    for axes, panel in zip(divided, panels, strict=True):
        for line in panel.lines:
            _draw_line(axes, line)
        dressed(axes, panel.title)
        if panel.logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(*panel.limits)
        if panel.counts:
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("training steps")
    return divided


def _draw_line(axes: Axes, line: Line) -> None:
    style, values = line.style, line.values
    if line.over > 1:
        axes.plot(line.steps, values, "-", color=style.colour, lw=0.4, alpha=PALE_LINE)
        median = pd.Series(values).rolling(line.over, center=True, min_periods=1).median()
        values = median.where(np.isfinite(values)).to_numpy()
    axes.plot(line.steps, values, style.line, marker=style.marker, color=style.colour, lw=line.width, ms=3.6,
              markevery=line.marked)  # fmt: skip
    if line.low is not None and line.high is not None:
        axes.fill_between(line.steps, line.low, line.high, color=style.colour, alpha=0.15, lw=0)
