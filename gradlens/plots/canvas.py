"""Axes without pyplot, their text and legends, and the figure of an empty table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath
from matplotlib.transforms import ScaledTranslation

from gradlens.plots.colours import INK, MUTED, PALE
from gradlens.plots.settling import Settled

SMALL = 7.0  # points: ticks, legends
NORMAL = 8.0  # points: axis labels, panel titles
START = 0.775  # width of axes before layout, as a share of the figure's
SCREEN = 100  # dots per inch in a notebook


def new_axes(width: float, height: float) -> Axes:
    """Return one Axes in a new figure; sizes in inches."""
    figure = ShownFigure(figsize=(width, height), layout=Settled())
    FigureCanvasAgg(figure)
    return figure.add_subplot()


class ShownFigure(Figure):
    """A figure without pyplot that a notebook can display."""

    def _repr_png_(self) -> bytes:
        page = io.BytesIO()
        self.savefig(page, format="png", dpi=SCREEN, metadata={"Software": None})
        return page.getvalue()


def tidy(ax: Axes) -> None:
    """Make spines and ticks lighter than the data."""
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
        spine.set_linewidth(0.6)
    ax.tick_params(labelsize=SMALL, color=MUTED, labelcolor=INK, width=0.6, length=2.5)
    ax.xaxis.label.set(size=NORMAL, color=INK)
    ax.yaxis.label.set(size=NORMAL, color=INK)


def headline(ax: Axes, text: str, pad: float = 4.0) -> None:
    """Set the title of a panel, at the left."""
    ax.set_title(plain(text), loc="left", fontsize=NORMAL, color=INK, pad=pad, weight="bold")


def legend_above(ax: Axes, handles: Sequence[Artist | tuple[Artist, ...]], *, lift: float = 0.0) -> None:
    """Add one legend above ``ax``, at most as wide as ``ax``; ``lift`` is its distance in inches.

    A handle may be a tuple of artists, drawn side by side under the label of the first.
    """
    if not handles:
        return
    groups = [handle if isinstance(handle, tuple) else (handle,) for handle in handles]
    labels = [str(group[0].get_label()) for group in groups]
    most = max(len(group) for group in groups)
    length = max(2.0, 1.15 * most)  # of the drawn part, in font sizes
    width = 1.1 * inches(ax)[0]  # axes grow during layout
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
    """Return the largest number of columns in which entries of these widths fit, filled from top to bottom.

    >>> _columns([1.0, 1.0, 1.0, 4.0], 5.0), _columns([1.0, 1.0, 1.0, 4.0], 6.0)
    (2, 3)
    """
    for count in range(len(needed), 1, -1):
        if sum(part.max() for part in np.array_split(needed, count)) <= width:
            return count
    return 1


def nothing(ax: Axes, why: str) -> Axes:
    """Draw a frame with the reason why there is no data."""
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
    """Return text that matplotlib does not parse as mathematics."""
    return str(text).replace("$", r"\$")


def shorten(text: object, limit: int) -> str:
    """Return at most ``limit`` characters without the middle, because the end of a module path is most specific.

    >>> shorten("stages.0.blocks.1.conv2", 12)
    'stag…1.conv2'
    """
    whole = str(text)
    if len(whole) <= limit:
        return whole
    head = (limit - 1) * 2 // 5
    return whole[:head] + "…" + whole[head + 1 - limit :]


def text_width(text: str, size: float) -> float:
    """Return the length of a line of text of ``size`` points, in inches."""
    return float(TextPath((0, 0), text, size=size).get_extents().width) / 72 if text.strip() else 0.0


def inches(ax: Axes) -> tuple[float, float]:
    """Return the current width and height of axes, in inches."""
    figure = cast(Figure, ax.get_figure(root=True))
    box = ax.get_window_extent()
    return max(box.width / figure.dpi, 0.1), max(box.height / figure.dpi, 0.1)
