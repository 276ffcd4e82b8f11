"""A plot: a function that draws a table, and the size of its figure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import pandas as pd
from matplotlib.axes import Axes

from gradlens.catalogue.versions import version_named
from gradlens.errors import GradlensError
from gradlens.plots import canvas, order

ROW = 0.17  # height of a line of text in a figure, in inches
NARROW = 5.0  # width of a figure up to which panels are stacked, in inches
EMPTY = 1.2  # height of a figure of an empty table, in inches
LEGEND = 0.3  # height of a legend for which the height of a figure has room, in inches


@dataclass(frozen=True)
class Plot:
    """A drawing function and the size its figure should have.

    Attributes:
        draw: ``(frame, ax) -> ax``; with ``versions``, it also takes the name of a version as ``version=``.
        width: width of the figure, in inches.
        height: height of the figure, or of each network if ``stacked``, in inches.
        stacked: networks are drawn one below the other.
        side_by_side: networks are drawn side by side, at most three in a row.
        alone: share of the width that a single network takes if ``side_by_side``.
        rows: number of lines of text in the figure, each of which adds ``ROW`` inches to ``height``.
        fitted: ``(frame, width) -> height`` in inches, if the contents determine the height.
        narrow: factor of the height if the figure is at most ``NARROW`` inches wide.
        versions: it draws one version of similarity, which can be chosen.
    """

    draw: Callable[..., Axes]
    width: float = 7.2
    height: float = 3.6
    stacked: bool = False
    side_by_side: bool = False
    alone: float = 0.58
    rows: Callable[[pd.DataFrame], int] | None = None
    fitted: Callable[[pd.DataFrame, float], float] | None = None
    narrow: float = 1.0
    versions: bool = False

    def __call__(self, frame: pd.DataFrame, ax: Axes, version: str = "") -> Axes:
        """Draw ``frame`` on ``ax``.

        Args:
            frame: the rows of the table.
            ax: where to draw.
            version: of similarity, such as ``energy_given_loss``; empty for the one that the plot draws by default.

        Raises:
            GradlensError: there is no such version, or the plot has none.
        """
        if not version:
            return self.draw(frame, ax)
        if not self.versions:
            raise GradlensError(f"version={version}: this figure has no versions of similarity; leave it out")
        return self.draw(frame, ax, version=version_named(version).column)

    def drawn(
        self, frame: pd.DataFrame, width: float | None = None, version: str = "", tallest: float = math.inf
    ) -> Axes:
        """Draw ``frame`` in a figure of its own, which draws it again if its size is changed.

        Args:
            frame: the rows of the table.
            width: of the figure, in inches; None for the preferred width.
            version: of similarity; empty for the default.
            tallest: largest height of the figure, in inches.

        Raises:
            GradlensError: as for a call.
        """
        ax = self.new_axes(frame, width)
        figure = cast(canvas.ShownFigure, ax.get_figure(root=True))
        figure.set_figheight(min(figure.get_figheight(), tallest))
        draw = partial(self, frame, ax, version)
        draw()
        extra = canvas.legend_height(ax) - LEGEND
        if extra > 0:
            figure.set_figheight(min(figure.get_figheight() + extra, tallest))
        figure.redraw = partial(_again, ax, draw)
        return ax

    def new_axes(self, frame: pd.DataFrame, width: float | None = None) -> Axes:
        """Return axes in a figure of the preferred size for ``frame``, or of this width in inches if it is not None."""
        wide, high = self.size(frame)
        if width is None:
            return canvas.new_axes(wide, high)
        if self.fitted is not None and high != EMPTY:
            return canvas.new_axes(width, self.fitted(frame, width))
        return canvas.new_axes(width, high if width > NARROW else self._narrow_height(frame, high))

    def size(self, frame: pd.DataFrame) -> tuple[float, float]:
        """Return the preferred width and height of a figure of ``frame``, in inches."""
        if self.rows is not None and not frame.empty:
            return self.width, self.height + ROW * self.rows(frame)
        count = order.panels(frame)
        if frame.empty or count == 0:
            return self.width, EMPTY
        wide = self.width * (self.alone if self.side_by_side and count == 1 else 1.0)
        if self.fitted is not None:
            return wide, self.fitted(frame, wide)
        if self.side_by_side and count == 1:
            return wide, self.height
        if self.side_by_side and count > 2:
            return self.width, self.height * 0.68 * -(-count // 3)
        return self.width, self.height * (count if self.stacked else 1)

    def _narrow_height(self, frame: pd.DataFrame, high: float) -> float:
        count = order.panels(frame)
        if not self.side_by_side or count == 0:
            return high * (1.0 if high == EMPTY else self.narrow)
        return self.height * (0.85 * count if count < 3 else 0.6 * -(-count // 2))


def _again(ax: Axes, draw: Callable[[], object]) -> None:
    """Draw on the same axes again, from the size that they had before layout."""
    ax.clear()
    ax.set_axis_on()
    ax.set_axes_locator(None)  # type: ignore[arg-type]
    spec = ax.get_subplotspec()
    if spec is not None:
        ax.set_subplotspec(spec)
    draw()
