"""Axes without pyplot, their text and legends, and the figure of an empty table."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.legend_handler import HandlerTuple
from matplotlib.offsetbox import HPacker, VPacker
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation

from gradlens.plots.colours import INK, MUTED, PALE
from gradlens.plots.lengths import text_width
from gradlens.plots.settling import Settled

SMALL = 7.0  # points: ticks, legends
NORMAL = 8.0  # points: axis labels, panel titles
START = 0.775  # width of axes before layout, as a share of the figure's
SCREEN = 100  # dots per inch in a notebook
SHORTEST = 12  # characters of a label in a legend
EDGE = 0.1  # inches between the contents of a figure and its edge
BESIDE = 1.75  # inches that labels beside axes take at most (1.2 in the gallery)
GAPS = 1.9  # between the mark, the text and the next entry of a legend, in font sizes


def new_axes(width: float, height: float) -> Axes:
    """Return one Axes in a new figure; sizes in inches."""
    figure = ShownFigure(figsize=(width, height), layout=Settled())
    FigureCanvasAgg(figure)
    return figure.add_subplot()


class ShownFigure(Figure):
    """A figure without pyplot that a notebook can display, and that fits its plot to a new size.

    Attributes:
        redraw: draws the plot again; None before it is drawn.
        alt: what the figure shows, for those who do not see it.
    """

    redraw: Callable[[], object] | None = None
    alt: str = ""

    def set_size_inches(
        self, w: float | tuple[float, float], h: float | None = None, forward: bool = True
    ) -> None:
        """Set the size, and draw the plot again if it changes: panels, names and the legend depend on it."""
        before = tuple(self.get_size_inches())
        super().set_size_inches(w, h, forward)
        if self.redraw is not None and tuple(self.get_size_inches()) != before:
            self.redraw()

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        page = io.BytesIO()
        self.savefig(page, format="png", dpi=SCREEN, metadata={"Software": None})
        return page.getvalue(), {"alt": self.alt} if self.alt else {}


def describe(ax: Axes, text: str) -> None:
    """Set the text that a notebook saves with the figure of ``ax`` for those who do not see it."""
    figure = ax.get_figure(root=True)
    if isinstance(figure, ShownFigure):
        figure.alt = text


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
    most = max(len(group) for group in groups)
    length = max(2.0, 1.15 * most)  # of the drawn part, in font sizes
    mark = (length + GAPS) * SMALL / 72
    labels = [str(group[0].get_label()) for group in groups]
    width = _width_after_layout(ax, sum(mark + text_width(label, SMALL) for label in labels))
    labels = [_shortened(label, width - mark) for label in labels]
    needed = [mark + text_width(label, SMALL) for label in labels]
    figure = cast(Figure, ax.get_figure(root=True))
    columns, rows = _columns(needed, width), _rows(needed, width)
    legend = ax.legend(
        handles=list(handles),
        labels=labels,
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0.2)},
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        bbox_transform=ax.transAxes + ScaledTranslation(0, lift, figure.dpi_scale_trans),
        ncols=columns,
        fontsize=SMALL,
        frameon=False,
        borderaxespad=0.0,
        borderpad=0.0,
        handlelength=length,
        handletextpad=0.5,
        columnspacing=GAPS - 0.5,
    )
    if 1 < len(rows) <= -(-len(groups) // columns):
        _place_in_rows(legend, rows)


def _width_after_layout(ax: Axes, needed: float) -> float:
    """Return the width that axes with all their labels will have in the figure, in inches.

    Labels are not measured, which takes long, if ``needed`` inches fit into the axes beside any labels; then the result
    is a lower bound of at least ``needed``.
    """
    figure = cast(Figure, ax.get_figure(root=True))
    least = figure.get_figwidth() - BESIDE
    if needed <= least and figure.get_layout_engine() is not None:
        return least
    box = ax.get_tightbbox() if figure.get_layout_engine() is not None else None
    width = inches(ax)[0]
    return width if box is None else max(width + figure.get_figwidth() - box.width / figure.dpi - EDGE, 1.0)


def legend_height(ax: Axes) -> float:
    """Return the height of the legend of ``ax``, in inches; 0 without one."""
    legend = ax.get_legend()
    figure = cast(Figure, ax.get_figure(root=True))
    return 0.0 if legend is None else legend.get_window_extent().height / figure.dpi


def _columns(needed: Sequence[float], width: float) -> int:
    """Return the largest number of columns in which entries of these widths fit, filled from top to bottom.

    >>> _columns([1.0, 1.0, 1.0, 4.0], 5.0), _columns([1.0, 1.0, 1.0, 4.0], 6.0)
    (2, 3)
    """
    for count in range(len(needed), 1, -1):
        if sum(part.max() for part in np.array_split(needed, count)) <= width:
            return count
    return 1


def _shortened(label: str, room: float) -> str:
    """Return a label of the legend that is at most ``room`` inches long, without its middle if it is longer."""
    limit = len(label)
    while limit > SHORTEST and text_width(shorten(label, limit), SMALL) > room:
        limit -= 1
    return shorten(label, limit)


def _rows(needed: Sequence[float], width: float) -> list[int]:
    """Return how many entries of these widths fit into each row, filled from left to right.

    >>> _rows([1.0, 1.0, 1.0, 4.0, 1.0], 5.0)
    [3, 2]
    """
    rows: list[int] = []
    free = 0.0
    for length in needed:
        if rows and length <= free:
            rows[-1] += 1
            free -= length
        else:
            rows.append(1)
            free = width - length
    return rows


def _place_in_rows(legend: Legend, rows: Sequence[int]) -> None:
    """Pack the entries of a legend in rows instead of columns, which all have the width of their longest entry."""
    entries = cast(Any, legend.get_children()[0].get_children()[-1])  # matplotlib packs a row of columns
    items = iter([item for column in entries.get_children() for item in column.get_children()])
    packed: list[Artist] = [
        HPacker(
            pad=0, sep=(GAPS - 0.5) * SMALL, align="baseline", children=list(itertools.islice(items, count))
        )
        for count in rows
    ]
    block = VPacker(pad=0, sep=legend.labelspacing * SMALL, align="left", children=packed)
    block.set_figure(cast(Figure, legend.get_figure(root=True)))
    entries._children = [block]


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


def first_that_fits(texts: Sequence[str], width: float, *, bold: bool = False) -> str:
    """Return the first text of ``NORMAL`` size that is at most ``width`` inches long, else the last."""
    factor = 1.12 if bold else 1.0
    lengths = {text: factor * text_width(plain(text), NORMAL) for text in texts}
    return next((text for text in texts if lengths[text] <= width), texts[-1])


def inches(ax: Axes) -> tuple[float, float]:
    """Return the current width and height of axes, in inches."""
    figure = cast(Figure, ax.get_figure(root=True))
    box = ax.get_window_extent()
    return max(box.width / figure.dpi, 0.1), max(box.height / figure.dpi, 0.1)
