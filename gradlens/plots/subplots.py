"""Axes divided into panels whose gaps keep their size in inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gradlens.plots.canvas import inches

LOWEST = 0.9  # height of a panel, in inches, below which more panels are placed side by side
NARROWEST = 1.0  # width of a panel with its gap, in inches, that this leaves


def panels(
    ax: Axes,
    rows: int,
    columns: int,
    *,
    across: float = 0.55,
    down: float = 0.6,
    heights: Sequence[float] | None = None,
    right: float = 0.0,
) -> list[Axes]:
    """Return sub-axes that fill ``ax``, row by row; ``ax`` itself is hidden.

    Args:
        ax: the axes to divide.
        rows: panels from top to bottom.
        columns: panels from left to right.
        across: space between columns, in inches.
        down: space between rows, in inches.
        heights: relative heights of the rows; equal if None.
        right: space left free at the right edge, in inches.
    """
    ax.set_axis_off()
    parts = tuple(heights or [1.0] * rows)
    divided = []
    for row in range(rows):
        for column in range(columns):
            cell = _Cell(ax, row, column, parts, columns, across, down, right)
            divided.append(ax.inset_axes(cell.bounds()))
            divided[-1].set_axes_locator(cell)
    return divided


@dataclass(frozen=True)
class _Cell:
    """The position of one panel, computed at each drawing so that gaps keep their size in inches."""

    parent: Axes
    row: int
    column: int
    parts: tuple[float, ...]
    columns: int
    across: float
    down: float
    right: float

    def bounds(self) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height, in fractions of the parent."""
        wide, high = inches(self.parent)
        rows = len(self.parts)
        gap = min(self.across / wide, 0.9 / self.columns)
        drop = min(self.down / high, 0.7 / max(rows - 1, 1))
        width = (1 - self.right / wide - gap * (self.columns - 1)) / self.columns
        heights = [(1 - drop * (rows - 1)) * part / sum(self.parts) for part in self.parts]
        bottom = 1 - sum(heights[: self.row + 1]) - drop * self.row
        return self.column * (width + gap), bottom, width, heights[self.row]

    def __call__(self, axes: object, renderer: object) -> Bbox:
        """Return the position in fractions of the figure, as matplotlib requires of a locator."""
        figure = cast(Figure, self.parent.get_figure())
        return Bbox.from_bounds(*self.bounds()).transformed(self.parent.transAxes - figure.transSubfigure)


def grid(
    ax: Axes,
    count: int,
    columns: int,
    least: float,
    *,
    across: float = 0.55,
    down: float = 0.6,
    right: float = 0.0,
) -> tuple[list[Axes], int]:
    """Return ``count`` panels, fewer than ``columns`` side by side if ``ax`` is too narrow and high enough for them.

    Args:
        ax: the axes to divide.
        count: number of panels.
        columns: largest number of panels side by side.
        least: smallest width of a panel with its gap, in inches.
        across: as for ``panels``.
        down: as for ``panels``.
        right: as for ``panels``.

    Returns:
        The panels, row by row, and the number of columns.
    """
    wide, high = inches(ax)
    most, columns = min(columns, count), columns_that_fit(count, columns, least, wide)
    while columns < most and _low(high, -(-count // columns), down) and wide >= NARROWEST * (columns + 1):
        columns += 1
    divided = panels(ax, -(-count // columns), columns, across=across, down=down, right=right)
    for spare in divided[count:]:
        spare.set_axis_off()
    return divided[:count], columns


def _low(high: float, rows: int, down: float) -> bool:
    return (high - down * (rows - 1)) / rows < LOWEST


def columns_that_fit(count: int, most: int, least: float, width: float) -> int:
    """Return how many of ``count`` panels fit side by side into axes of this width, in inches before layout.

    >>> columns_that_fit(4, 3, 2.0, 5.5), columns_that_fit(4, 3, 2.0, 2.7)
    (3, 1)
    """
    return max(1, min(most, count, int(1.1 * width // least)))  # axes grow during layout
