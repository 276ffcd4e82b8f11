"""Signal by signal correlation: heat maps side by side, stages marked."""

from __future__ import annotations

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

VERSIONS = {
    "energy": "CKA, energy",
    "direction": "CKA, direction",
    "energy_given_loss": "CKA, energy, given the loss",
    "direction_given_loss": "CKA, direction, given the loss",
}


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
    least = 1.4 if len(names) > 2 else 2.0
    cut, columns = canvas.grid(ax, len(names), 3, least, across=0.5, down=0.75, right=0.75)
    missing = False
    for panel, network in zip(cut, names, strict=True):
        matrix, stages = similarity_matrix(order.of_network(frame, network), version)
        image = _draw_matrix(panel, matrix, stages, columns)
        title = canvas.shorten(network, 66 // columns)
        canvas.headline(panel, title if columns > 2 else f"{title}: {len(stages)} signals")
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
    least = 1.4 if len(pairs) > 2 else 2.0
    cut, columns = canvas.grid(ax, len(pairs), 3, least, across=0.62, down=0.75, right=0.75)
    for panel, rows in zip(cut, pairs, strict=True):
        image = _draw_pair(panel, rows, version, columns)
        if len(pairs) > 1:
            panel.set_aspect("auto")  # networks of unlike depth get the same room
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
    image = _draw_matrix(panel, matrix, sides[1], columns, sides[0])
    names = [canvas.plain(canvas.shorten(rows[f"network_{side}"].iloc[0], 34 // columns)) for side in "ab"]
    units = [f", by {order.stage_axis(side)}" if columns == 1 else "" for side in sides]
    panel.set_ylabel(names[0] + units[0], size=canvas.NORMAL)
    panel.set_xlabel(names[1] + units[1])
    return image


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
    panel: Axes, matrix: np.ndarray, stages: list[str], columns: int, down: list[str] | None = None
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
    panel.set_xticks(across.centres, _spaced(across.labels, across.centres, 0.04 * columns * len(stages)))
    panel.set_yticks(below.centres, _spaced(below.labels, below.centres, 0.02 * columns * matrix.shape[0]))
    panel.tick_params(length=0)
    panel.set_xlabel("signals by " + order.stage_axis(stages))
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


def _spaced(labels: list[str], centres: list[float], gap: float) -> list[str]:
    """The labels with those left out that would stand nearer than ``gap`` to the one before."""
    kept, last = [], -np.inf
    for label, centre in zip(labels, centres, strict=True):
        shown = centre - last > gap
        kept.append(label if shown else "")
        last = centre if shown else last
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
