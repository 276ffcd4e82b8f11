"""Axes: made without pyplot, cut into panels, tidied; and what to draw when there is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gradlens.plots.colours import INK, MUTED, PALE

SMALL = 7.0  # points: ticks, legends
NORMAL = 8.0  # points: axis labels, panel titles


def new_axes(width: float, height: float) -> Axes:
    """One Axes in a figure of its own; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


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
    wide, high = _inches(ax)
    gap, drop = min(across / wide, 0.9 / columns), min(down / high, 0.9 / rows)
    width = (1 - right / wide - gap * (columns - 1)) / columns
    parts = list(heights or [1.0] * rows)
    free = 1 - drop * (rows - 1)
    cut, top = [], 1.0
    for part in parts:
        height = free * part / sum(parts)
        top -= height
        cut += [ax.inset_axes((c * (width + gap), top, width, height)) for c in range(columns)]
        top -= drop
    return cut


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
    """One legend over the whole of ``ax``, as wide as that; ``lift`` is its height in inches."""
    if handles:
        width = 1.1 * _inches(ax)[0]  # axes grow when the layout is settled
        needed = [0.5 + 0.056 * len(str(handle.get_label())) for handle in handles]
        one_row = sum(needed) <= width
        columns = len(needed) if one_row else max(1, int(width / max(needed)))
        ax.legend(
            handles=list(handles),
            loc="lower left",
            bbox_to_anchor=(0.0, 1 + lift / _inches(ax)[1]),
            ncols=min(columns, len(needed)),
            fontsize=SMALL,
            frameon=False,
            borderaxespad=0.0,
            borderpad=0.0,
            handlelength=2.0,
            handletextpad=0.5,
            columnspacing=1.4,
        )


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


def _inches(ax: Axes) -> tuple[float, float]:
    figure = cast(Figure, ax.get_figure(root=True))
    box = ax.get_window_extent()
    return max(box.width / figure.dpi, 0.1), max(box.height / figure.dpi, 0.1)
