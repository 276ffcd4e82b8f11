"""Signal by signal correlation: heat maps side by side, stages marked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from gradlens.errors import GradlensError, close_matches
from gradlens.plots import canvas, order
from gradlens.plots.colours import INK, PALE
from gradlens.plots.plot import Plot

VERSIONS = {
    "energy": "CKA, energy",
    "direction": "CKA, direction",
    "energy_given_loss": "CKA, energy, given the loss",
    "direction_given_loss": "CKA, direction, given the loss",
}
MOST = 3  # panels side by side
# inches of a figure that are no panel
ACROSS, DOWN = 0.5, 0.75  # between panels
BAR = 0.75  # the colour bar
TICKS = 0.4  # names of stages at the left
LABEL = 0.15  # a network's name at the left
WORDS = 0.72  # title above, names of stages and axis label below
LEGEND = 0.25
HIGHEST = 3.3  # one panel alone, in a wide figure
FLATTEST, STEEPEST = 0.45, 1.5  # height to width of two networks' matrix


def signal_correlation(frame: pd.DataFrame, ax: Axes, *, version: str = "energy") -> Axes:
    """A heat map a network, from the input (top left) to the loss, with one colour scale.

    Args:
        frame: the correlation table, a row a pair of signals.
        ax: where to draw; divided into panels.
        version: a similarity column of the frame.

    Raises:
        GradlensError: there is no such version.
    """
    if version not in VERSIONS:
        raise GradlensError(
            f"no similarity {version!r}; choose from {', '.join(VERSIONS)}" + close_matches(version, VERSIONS)
        )
    names = order.networks(frame)
    if not names:
        return canvas.nothing(ax, "fewer than two signals in every network")
    cut, columns = canvas.grid(ax, len(names), MOST, _least(len(names)), across=ACROSS, down=DOWN, right=BAR)
    missing = False
    for panel, network in zip(cut, names, strict=True):
        matrix, stages = similarity_matrix(order.of_network(frame, network), version)
        image = _draw_matrix(panel, matrix, stages)
        title = canvas.shorten(network, 66 // columns)
        room = _room(panel)[0]
        canvas.headline(panel, _fitting([f"{title}: {len(stages)} signals", title], room))
        axis = order.stage_axis(stages)
        panel.set_xlabel(_fitting([f"signals by {axis}", "signals by stage", "signals"], room + 0.3))
        missing = missing or bool(np.isnan(matrix).any())
    negative = bool((frame[version] < -0.005).any())
    _colour_bar(cut[columns - 1], image, VERSIONS[version], negative=negative)
    if missing:
        grey = Patch(facecolor=PALE, edgecolor="none", label="no value (dead signal)")
        canvas.legend_above(cut[0], [grey], lift=0.25)
    return ax


def network_by_network(frame: pd.DataFrame, ax: Axes, *, version: str = "energy") -> Axes:
    """Layers of one network (down) against layers of another (across), stages marked; a panel a pair.

    Args:
        frame: the cross table, a row a pair of signals.
        ax: where to draw; divided into panels.
        version: a similarity column of the frame.
    """
    if frame.empty:
        return canvas.nothing(ax, "a network has no signal")
    pairs = [rows for _, rows in frame.groupby(["network_a", "network_b"], sort=False)]
    cut, columns = canvas.grid(
        ax, len(pairs), MOST, _least(len(pairs)), across=ACROSS + LABEL, down=DOWN, right=BAR
    )
    for panel, rows in zip(cut, pairs, strict=True):
        image = _draw_pair(panel, rows, version, columns)
        panel.set_aspect("auto")  # networks of unlike depth get the room that there is
    _colour_bar(cut[columns - 1], image, VERSIONS[version], negative=bool((frame[version] < -0.005).any()))
    return ax


def _draw_pair(panel: Axes, rows: pd.DataFrame, version: str, columns: int) -> AxesImage:
    a, b = (rows[f"order_{side}"].to_numpy(dtype=int) for side in "ab")
    matrix = np.full((a.max() + 1, b.max() + 1), np.nan)
    matrix[a, b] = rows[version].to_numpy(dtype=float)
    sides = [
        rows.drop_duplicates(f"order_{side}")
        .sort_values(f"order_{side}")[f"stage_{side}"]
        .astype(str)
        .tolist()
        for side in "ab"
    ]
    image = _draw_matrix(panel, matrix, sides[1], sides[0])
    names = [canvas.shorten(rows[f"network_{side}"].iloc[0], 34 // columns) for side in "ab"]
    wide, high = _room(panel)
    down, across = (
        _fitting([f"{name}, by {order.stage_axis(side)}", f"{name}, by stage", name], room)
        for name, side, room in zip(names, sides, (high, wide), strict=True)
    )
    panel.set_ylabel(canvas.plain(down), size=canvas.NORMAL)
    panel.set_xlabel(canvas.plain(across))
    return image


def correlation_height(frame: pd.DataFrame, width: float) -> float:
    """Height of a figure of ``signal_correlation`` this wide, both in inches."""
    legend = LEGEND if frame["energy"].isna().any() else 0.0
    return _height(len(order.networks(frame)), width, 1.0, ACROSS) + legend


def cross_height(frame: pd.DataFrame, width: float) -> float:
    """Height of a figure of ``network_by_network`` this wide, both in inches."""
    count, shape = order.panels(frame), 1.0
    if count == 1:  # square cells, unless one network is far deeper
        down, across = (int(frame[f"order_{side}"].max()) + 1 for side in "ab")
        shape = min(max(down / across, FLATTEST), STEEPEST)
    return _height(count, width - LABEL, shape, ACROSS + LABEL)


def _height(count: int, width: float, shape: float, across: float) -> float:
    columns = canvas.beside(count, MOST, _least(count), canvas.START * width)
    side = (width - TICKS - BAR - across * (columns - 1)) / columns
    rows = -(-count // columns)
    high = min(side * shape, HIGHEST) if count == 1 else side * shape
    return rows * high + (rows - 1) * DOWN + WORDS


def _least(count: int) -> float:
    """Inches that a panel takes at least, with its gap."""
    return 1.4 if count > 2 else 2.0


def _room(panel: Axes) -> tuple[float, float]:
    """Width and height that a panel will have; axes grow when the layout is settled."""
    wide, high = canvas.inches(panel)
    return 1.1 * wide, 1.1 * high


def _fitting(texts: Sequence[str], room: float) -> str:
    """The first text that is no longer than so many inches, else the last."""
    lengths = {text: canvas.written(canvas.plain(text), canvas.NORMAL) for text in texts}
    return next((text for text in texts if lengths[text] <= room), texts[-1])


def similarity_matrix(rows: pd.DataFrame, version: str) -> tuple[np.ndarray, list[str]]:
    """The full symmetric matrix of one network, and the stage of each of its rows.

    A signal that has no value with any other is NaN on the diagonal too.
    """
    ends = pd.concat(
        [
            rows[["order_a", "stage_a"]].set_axis(["order", "stage"], axis=1),
            rows[["order_b", "stage_b"]].set_axis(["order", "stage"], axis=1),
        ]
    ).drop_duplicates("order")
    rank = {stage: i for i, stage in enumerate(order.stages(ends["stage"]))}
    signals = sorted(
        zip(ends["order"], ends["stage"].astype(str), strict=True),
        key=lambda signal: (rank[signal[1]], signal[0]),
    )
    place = {depth: i for i, (depth, _) in enumerate(signals)}
    matrix = np.full((len(signals), len(signals)), np.nan)
    a = rows["order_a"].map(place).to_numpy(dtype=int)
    b = rows["order_b"].map(place).to_numpy(dtype=int)
    matrix[a, b] = matrix[b, a] = rows[version].to_numpy(dtype=float)
    live = np.isfinite(matrix).any(axis=0)
    matrix[np.diag_indices_from(matrix)] = np.where(live, 1.0, np.nan)
    return matrix, [stage for _, stage in signals]


def _draw_matrix(
    panel: Axes, matrix: np.ndarray, stages: list[str], down: list[str] | None = None
) -> AxesImage:
    """A matrix with its stages marked across, and down where those are others."""
    scale = matplotlib.colormaps["viridis"].with_extremes(bad=PALE)
    image = panel.imshow(matrix, cmap=scale, vmin=0, vmax=1, interpolation="nearest")
    canvas.tidy(panel)
    across, below = _marks(stages), _marks(down or stages)
    for edge in across.edges:
        panel.axvline(edge - 0.5, color="white", linewidth=0.7)
    for edge in below.edges:
        panel.axhline(edge - 0.5, color="white", linewidth=0.7)
    wide, high = _room(panel)
    lengths = [canvas.written(label, canvas.SMALL) + 0.06 for label in across.labels]
    panel.set_xticks(across.centres, _spaced(across, lengths, wide / len(stages)))
    panel.set_yticks(below.centres, _spaced(below, [0.11] * len(below.labels), high / matrix.shape[0]))
    panel.tick_params(length=0)
    return image


class _Marks(NamedTuple):
    edges: list[int]
    centres: list[float]
    labels: list[str]


def _marks(stages: list[str]) -> _Marks:
    """Where stages begin, and their labels at their middles."""
    edges = [i for i in range(1, len(stages)) if stages[i] != stages[i - 1]]
    starts = [0, *edges, len(stages)]
    centres = [(a + b - 1) / 2 for a, b in pairwise(starts)]
    return _Marks(edges, centres, [canvas.plain(canvas.shorten(stages[start], 8)) for start in starts[:-1]])


def _spaced(marks: _Marks, lengths: Sequence[float], step: float) -> list[str]:
    """The labels with those left out that would run into the one before.

    Args:
        marks: what is to be labelled.
        lengths: of the labels with their gap, in inches.
        step: of one signal, in inches.
    """
    kept, end = [], -np.inf
    for label, centre, length in zip(marks.labels, marks.centres, lengths, strict=True):
        shown = centre * step - length / 2 >= end
        kept.append(label if shown else "")
        end = centre * step + length / 2 if shown else end
    return kept


def _colour_bar(panel: Axes, image: AxesImage, label: str, *, negative: bool) -> None:
    figure = cast(Figure, panel.get_figure(root=True))
    bar = figure.colorbar(
        image,
        cax=panel.inset_axes((1.05, 0.0, 0.045, 1.0)),
        extend="min" if negative else "neither",
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=canvas.SMALL, length=2, width=0.6)
    bar.set_label(label, size=canvas.NORMAL, color=INK)


CORRELATION = Plot(signal_correlation, beside=True, fitted=correlation_height)
CROSS = Plot(network_by_network, beside=True, alone=0.64, fitted=cross_height)
