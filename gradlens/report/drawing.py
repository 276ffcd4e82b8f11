"""Figures of a result, drawn with fixed settings and saved without a date, so that files are reproducible."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from gradlens.catalogue import kind
from gradlens.errors import GradlensError
from gradlens.plots import PLOTS
from gradlens.results import Result

RESOLUTION = 150  # dots per inch
PACKED = {"compress_level": 3}  # half the time of the default 6, and 3 % more bytes
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": "gradlens"}}


def figures(result: Result) -> dict[str, Figure]:
    """Return the figure of each table that has a plot, by table name, in the order of the registry."""
    with matplotlib.style.context("default"):
        return {
            name: cast(Figure, result.tables[name].plot().get_figure(root=True))
            for plot in PLOTS
            for name in result.tables
            if kind(name) == plot
        }


def encoded(figure: Figure, kind: str) -> bytes:
    """Return the figure as the bytes of a ``png`` or ``svg`` file; equal figures give equal bytes."""
    page = io.BytesIO()
    with matplotlib.style.context("default"), matplotlib.rc_context({"svg.hashsalt": "gradlens"}):
        figure.set_dpi(RESOLUTION)
        figure.set_facecolor("white")
        _lay_out(figure)
        if kind == "svg":  # savefig would draw twice
            cast(Any, FigureCanvasSVG(figure)).print_svg(page, metadata=METADATA[kind])
        else:
            cast(Any, FigureCanvasAgg(figure)).print_png(page, metadata=METADATA[kind], pil_kwargs=PACKED)
    return page.getvalue()


def _lay_out(figure: Figure) -> None:
    """Lay out a figure once, for all of its files; matplotlib would repeat it for each of them, and draw for it.

    Titles and labels of axes keep the positions that the layout gave them: matplotlib would measure all ticks to find
    them again.
    """
    layout = figure.get_layout_engine()
    if layout is None:
        return
    layout.execute(figure)
    figure.set_layout_engine(None)
    for ax in cast(Iterator[Any], _with_insets(figure.axes)):
        ax._autotitlepos = False
        along, across = ax.transAxes, figure.dpi_scale_trans
        x, y = ax.xaxis.label.get_position()
        if ax.xaxis._autolabelpos:
            ax.xaxis.set_label_coords(x, y / figure.dpi, blended_transform_factory(along, across))
        x, y = ax.yaxis.label.get_position()
        if ax.yaxis._autolabelpos:
            ax.yaxis.set_label_coords(x / figure.dpi, y, blended_transform_factory(across, along))


def _with_insets(axes: Iterable[Axes]) -> Iterator[Axes]:
    """Yield axes, and after each the axes inside it."""
    for ax in axes:
        yield ax
        yield from _with_insets(cast(Any, ax).child_axes)


def save_figures(drawn: Mapping[str, Figure], folder: Path) -> dict[str, bytes]:
    """Write each figure as PNG and SVG into ``folder`` and return the SVGs by name.

    Raises:
        GradlensError: the folder cannot be written.
    """
    images = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in drawn.items():
            images[name] = encoded(figure, "svg")
            (folder / f"{name}.svg").write_bytes(images[name])
            (folder / f"{name}.png").write_bytes(encoded(figure, "png"))
    except OSError as error:
        raise GradlensError(f"cannot write {folder}: {error.strerror}; give another folder") from error
    return images
