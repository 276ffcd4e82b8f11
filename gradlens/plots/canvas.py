"""Axes: made without pyplot, cut into panels, tidied; and what to draw when there is nothing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox, ScaledTranslation

from gradlens.plots.colours import INK, MUTED, PALE
from gradlens.plots.settling import Settled

SMALL = 7.0  # points: ticks, legends
NORMAL = 8.0  # points: axis labels, panel titles
START = 0.775  # width of axes before they are laid out, of the figure's
SCREEN = 100  # dots an inch in a notebook


def new_axes(width: float, height: float) -> Axes:
    """One Axes in a figure of its own; sizes in inches."""
    figure = ShownFigure(figsize=(width, height), layout=Settled())
    FigureCanvasAgg(figure)
    return figure.add_subplot()


class ShownFigure(Figure):
    """A figure that a notebook shows, although pyplot knows nothing of it."""

    def _repr_png_(self) -> bytes:
        page = io.BytesIO()
        self.savefig(page, format="png", dpi=SCREEN, metadata={"Software": None})
        return page.getvalue()


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
    """Sub-axes that fill ``ax``, row by row; ``ax`` itself is emptied.

    Args:
        ax: the axes to divide.
        rows: panels from top to bottom.
        columns: panels from left to right.
        across: space between columns, in inches.
        down: space between rows, in inches.
        heights: relative heights of the rows; equal when None.
        right: space left free at the right edge, in inches.
    """
    ax.set_axis_off()
    parts = tuple(heights or [1.0] * rows)
    cut = []
    for row in range(rows):
        for column in range(columns):
            cell = _Cell(ax, row, column, parts, columns, across, down, right)
            cut.append(ax.inset_axes(cell.bounds()))
            cut[-1].set_axes_locator(cell)
    return cut


@dataclass(frozen=True)
class _Cell:
    """Where one panel lies; asked anew at each drawing, so that gaps keep their inches."""

    parent: Axes
    row: int
    column: int
    parts: tuple[float, ...]
    columns: int
    across: float
    down: float
    right: float

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, width and height, in fractions of the parent."""
        wide, high = inches(self.parent)
        rows = len(self.parts)
        gap = min(self.across / wide, 0.9 / self.columns)
        drop = min(self.down / high, 0.7 / max(rows - 1, 1))
        width = (1 - self.right / wide - gap * (self.columns - 1)) / self.columns
        heights = [(1 - drop * (rows - 1)) * part / sum(self.parts) for part in self.parts]
        bottom = 1 - sum(heights[: self.row + 1]) - drop * self.row
        return self.column * (width + gap), bottom, width, heights[self.row]

    def __call__(self, axes: object, renderer: object) -> Bbox:
        """The same in fractions of the figure, as matplotlib asks of a locator."""
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
    """So many panels, fewer than ``columns`` side by side where ``ax`` is too narrow for them.

    Args:
        ax: the axes to divide.
        count: panels that are wanted.
        columns: most of them side by side.
        least: inches that each panel takes with its gap.
        across: as for ``panels``.
        down: as for ``panels``.
        right: as for ``panels``.

    Returns:
        The panels, row by row, and how many stand side by side.
    """
    columns = beside(count, columns, least, inches(ax)[0])
    cut = panels(ax, -(-count // columns), columns, across=across, down=down, right=right)
    for spare in cut[count:]:
        spare.set_axis_off()
    return cut[:count], columns


def beside(count: int, most: int, least: float, width: float) -> int:
    """How many of ``count`` panels stand side by side in axes that are so wide before they are laid out.

    >>> beside(4, 3, 2.0, 5.5), beside(4, 3, 2.0, 2.7)
    (3, 1)
    """
    return max(1, min(most, count, int(1.1 * width // least)))  # axes grow when the layout is settled


def tidy(ax: Axes) -> None:
    """Quiet spines and ticks, so that the data is the darkest thing."""
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
        spine.set_linewidth(0.6)
    ax.tick_params(labelsize=SMALL, color=MUTED, labelcolor=INK, width=0.6, length=2.5)
    ax.xaxis.label.set(size=NORMAL, color=INK)
    ax.yaxis.label.set(size=NORMAL, color=INK)


def headline(ax: Axes, text: str, pad: float = 4.0) -> None:
    """A panel's title, at the left."""
    ax.set_title(plain(text), loc="left", fontsize=NORMAL, color=INK, pad=pad, weight="bold")


def legend_above(ax: Axes, handles: Sequence[Any], *, lift: float = 0.0) -> None:
    """One legend over the whole of ``ax``, as wide as that; ``lift`` is its height in inches.

    A handle may be a tuple of artists, drawn side by side under the label of the first.
    """
    if not handles:
        return
    groups = [handle if isinstance(handle, tuple) else (handle,) for handle in handles]
    labels = [str(group[0].get_label()) for group in groups]
    most = max(len(group) for group in groups)
    length = max(2.0, 1.15 * most)  # of the drawn part, in font sizes
    width = 1.1 * inches(ax)[0]  # axes grow when the layout is settled
    needed = [0.3 + length * SMALL / 72 + 0.056 * len(label) for label in labels]
    figure = cast(Figure, ax.get_figure(root=True))
    ax.legend(
        handles=list(handles),
        labels=labels,
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.2)},
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, lift, figure.dpi_scale_trans),
        ncols=_columns(needed, width),
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0.0,
        borderpad=0.0,
        handlelength=length,
        handletextpad=0.5,
        columnspacing=1.4,
    )


def _columns(needed: Sequence[float], width: float) -> int:
    """Most columns in which entries of these widths, filled from top to bottom, fit.

    >>> _columns([1.0, 1.0, 1.0, 4.0], 5.0), _columns([1.0, 1.0, 1.0, 4.0], 6.0)
    (2, 3)
    """
    for count in range(len(needed), 1, -1):
        if sum(part.max() for part in np.array_split(needed, count)) <= width:
            return count
    return 1


def nothing(ax: Axes, why: str) -> Axes:
    """An honest picture of no data."""
    ax.set_axis_off()
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, fill=False, ec=PALE, ls="--"))
    ax.text(
        0.5,
        0.5,
        f"nothing to show: {why}",
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=NORMAL,
        color=MUTED,
        wrap=True,
    )
    return ax


def plain(text: object) -> str:
    """Text that matplotlib must not read as mathematics."""
    return str(text).replace("$", r"\$")


def shorten(text: object, limit: int) -> str:
    """At most ``limit`` characters, the middle left out: the end of a module path tells most.

    >>> shorten("stages.0.blocks.1.conv2", 12)
    'stag…1.conv2'
    """
    whole = str(text)
    if len(whole) <= limit:
        return whole
    head = (limit - 1) * 2 // 5
    return whole[:head] + "…" + whole[head + 1 - limit :]


def written(text: str, size: float) -> float:
    """Length of a line of text of ``size`` points, in inches."""
    return float(TextPath((0, 0), text, size=size).get_extents().width) / 72 if text.strip() else 0.0


def inches(ax: Axes) -> tuple[float, float]:
    """Width and height of axes, as they lie now."""
    figure = cast(Figure, ax.get_figure(root=True))
    box = ax.get_window_extent()
    return max(box.width / figure.dpi, 0.1), max(box.height / figure.dpi, 0.1)
