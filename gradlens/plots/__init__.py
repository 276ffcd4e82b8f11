"""Plots of the tables: a function from a pandas frame and an Axes to that Axes.

Only matplotlib's object interface is used: no pyplot, no global state, nothing is shown. A new
plot is a function in a file of its family and one line in ``PLOTS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from gradlens.errors import GradlensError, close_matches
from gradlens.plots import canvas, order
from gradlens.plots.branches import branch_correlation
from gradlens.plots.correlation import (
    correlation_height,
    cross_height,
    network_by_network,
    signal_correlation,
)
from gradlens.plots.cost import cost_by_stage, throughput
from gradlens.plots.duplication import duplication_by_stage
from gradlens.plots.flow import flow_over_depth
from gradlens.plots.paths import (
    length_distribution,
    lengths_height,
    lengths_over_depth,
    structure_by_stage,
)
from gradlens.plots.reuse import reuse_map
from gradlens.plots.shares import branch_shares
from gradlens.plots.spaces import kind
from gradlens.plots.strategies import along_training, forest, pairs, trade_off

__all__ = ["PLOTS", "Plot", "plot_frame"]


ROW = 0.17  # height of a line of text in a figure, in inches
NARROW = 5.0  # width of a figure below which panels go below each other, in inches
EMPTY = 1.2  # height of a figure that says there is nothing, in inches


@dataclass(frozen=True)
class Plot:
    """A drawing function and the size its figure should have.

    Attributes:
        draw: ``(frame, ax) -> ax``.
        width: of a figure made for it, in inches.
        height: the same; of each network where ``stacked``.
        stacked: networks are drawn one under the other.
        beside: networks are drawn side by side, at most three in a row.
        alone: the share of the width that one network takes where ``beside``.
        rows: lines of text that the figure must hold, each ``ROW`` inches on top of ``height``.
        fitted: ``(frame, width) -> height`` in inches, where the contents have a shape of their own.
        narrow: times the height where the figure is no wider than ``NARROW``.
    """

    draw: Callable[[pd.DataFrame, Axes], Axes]
    width: float = 7.2
    height: float = 3.6
    stacked: bool = False
    beside: bool = False
    alone: float = 0.58
    rows: Callable[[pd.DataFrame], int] | None = None
    fitted: Callable[[pd.DataFrame, float], float] | None = None
    narrow: float = 1.0

    def __call__(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        """Draw ``frame`` on ``ax``."""
        return self.draw(frame, ax)

    def new_axes(self, frame: pd.DataFrame, width: float | None = None) -> Axes:
        """Axes in a figure of the right size for ``frame``, of this width in inches where one is given."""
        wide, high = self.size(frame)
        if width is None:
            return canvas.new_axes(wide, high)
        if self.fitted is not None and high != EMPTY:
            return canvas.new_axes(width, self.fitted(frame, width))
        return canvas.new_axes(width, high if width > NARROW else self._narrow_height(frame, high))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Width and height of a figure of ``frame`` at ease, in inches."""
        if self.rows is not None and not frame.empty:
            return self.width, self.height + ROW * self.rows(frame)
        count = order.panels(frame)
        if frame.empty or count == 0:
            return self.width, EMPTY
        wide = self.width * (self.alone if self.beside and count == 1 else 1.0)
        if self.fitted is not None:
            return wide, self.fitted(frame, wide)
        if self.beside and count == 1:
            return wide, self.height
        if self.beside and count > 2:
            return self.width, self.height * 0.68 * -(-count // 3)
        return self.width, self.height * (count if self.stacked else 1)

    def _narrow_height(self, frame: pd.DataFrame, high: float) -> float:
        count = order.panels(frame)
        if not self.beside or count == 0:
            return high * (1.0 if high == EMPTY else self.narrow)
        return self.height * (0.85 * count if count < 3 else 0.6 * -(-count // 2))


PLOTS: dict[str, Plot] = {
    "networks": Plot(trade_off, height=3.2, narrow=1.5),
    "contrasts": Plot(forest, height=1.2, rows=pairs, narrow=2.2),
    "strategies": Plot(trade_off, height=3.2, narrow=1.5),
    "differences": Plot(forest, height=1.2, rows=pairs, narrow=2.2),
    "trajectory": Plot(along_training, height=3.0, narrow=1.5),
    "duplication": Plot(duplication_by_stage, height=3.4, narrow=1.6),
    "correlation": Plot(signal_correlation, beside=True, fitted=correlation_height),
    "cross": Plot(network_by_network, beside=True, alone=0.64, fitted=cross_height),
    "branches": Plot(branch_correlation, height=3.1, stacked=True),
    "shares": Plot(branch_shares, height=3.6, stacked=True),
    "flow": Plot(flow_over_depth, height=3.0, rows=lambda frame: max(2, len(order.networks(frame)))),
    "structure": Plot(structure_by_stage, height=2.6),
    "paths": Plot(lengths_over_depth, height=2.9, beside=True),
    "path_lengths": Plot(length_distribution, fitted=lengths_height),
    "reuse": Plot(reuse_map, height=3.4, beside=True),
    "cost": Plot(cost_by_stage, height=4.2, narrow=1.9),
    "throughput": Plot(throughput, height=1.4, rows=lambda frame: max(4, 2 * len(order.networks(frame)))),
}


def plot_frame(name: str, frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the frame of the table ``name``.

    Args:
        name: a key of ``PLOTS``.
        frame: the rows of that table.
        ax: where to draw; a new figure with one Axes when None.

    Raises:
        GradlensError: no plot is registered for the table.
    """
    name = kind(name)
    if name not in PLOTS:
        raise GradlensError(
            f"no plot for table {name!r}; tables with a plot: {', '.join(PLOTS)}" + close_matches(name, PLOTS)
        )
    plot = PLOTS[name]
    return plot(frame, plot.new_axes(frame) if ax is None else ax)
