"""A heat map of signals with their stages marked, and its colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from gradlens.plots import canvas, stage_names
from gradlens.plots.colours import INK, PALE
from gradlens.plots.lengths import text_width


def draw_matrix(
    panel: Axes, matrix: np.ndarray, stages: list[str], down: list[str] | None = None
) -> AxesImage:
    """Draw a matrix with the stages of its columns, and of its rows if they differ."""
    scale = matplotlib.colormaps["viridis"].with_extremes(bad=PALE)
    image = panel.imshow(matrix, cmap=scale, vmin=0, vmax=1, interpolation="nearest")
    canvas.tidy(panel)
    across, below = _marks(stages), _marks(down or stages)
    for edge in across.edges:
        panel.axvline(edge - 0.5, color="white", linewidth=0.7)
    for edge in below.edges:
        panel.axhline(edge - 0.5, color="white", linewidth=0.7)
    wide, high = room(panel)
    lengths = [text_width(label, canvas.SMALL) + 0.06 for label in across.labels]
    panel.set_xticks(across.centres, _spaced(across, lengths, wide / len(stages)))
    panel.set_yticks(below.centres, _spaced(below, [0.11] * len(below.labels), high / matrix.shape[0]))
    panel.tick_params(length=0)
    return image


def room(panel: Axes) -> tuple[float, float]:
    """Return the expected width and height of a panel after layout, in inches; axes grow during layout."""
    wide, high = canvas.inches(panel)
    return 1.1 * wide, 1.1 * high


class _Marks(NamedTuple):
    edges: list[int]
    centres: list[float]
    labels: list[str]


def _marks(stages: list[str]) -> _Marks:
    """Return where stages begin, and their centres and labels."""
    edges = [i for i in range(1, len(stages)) if stages[i] != stages[i - 1]]
    starts = [0, *edges, len(stages)]
    centres = [(a + b - 1) / 2 for a, b in pairwise(starts)]
    return _Marks(
        edges, centres, [canvas.plain(stage_names.short(stages[start], 8)) for start in starts[:-1]]
    )


def _spaced(marks: _Marks, lengths: Sequence[float], step: float) -> list[str]:
    """Return the labels; one that would overlap the previous label is empty.

    Args:
        marks: stages with their labels.
        lengths: lengths of the labels with their gap, in inches.
        step: size of one signal, in inches.
    """
    kept, end = [], -np.inf
    for label, centre, length in zip(marks.labels, marks.centres, lengths, strict=True):
        fits = centre * step - length / 2 >= end
        kept.append(label if fits else "")
        end = centre * step + length / 2 if fits else end
    return kept


def colour_bar(panel: Axes, image: AxesImage, label: str, *, negative: bool = False) -> None:
    """Add the colour bar of an image to the right of its panel; ``negative`` marks values below the scale."""
    figure = cast(Figure, panel.get_figure(root=True))
    bar = figure.colorbar(
        image,
        cax=panel.inset_axes((1.05, 0.0, 0.045, 1.0)),
        extend="min" if negative else "neither",
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=canvas.SMALL, length=2, width=0.6)
    bar.set_label(label, size=canvas.NORMAL, color=INK)
