"""Heat maps of the similarity of each pair of signals, with the stages marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from gradlens.catalogue.versions import ENERGY, VERSIONS, version_named
from gradlens.errors import GradlensError
from gradlens.graph.stage_order import in_order
from gradlens.plots import canvas, heat_map, order, subplots
from gradlens.plots.colours import PALE
from gradlens.plots.plot import Plot

TITLES = {version.column: version.title for version in VERSIONS}
"""Titles of the similarity columns."""
MOST = 3  # panels side by side
# inches of a figure outside its panels
ACROSS, DOWN = 0.5, 0.75  # between panels
BAR = 0.75  # the colour bar
TICKS = 0.4  # names of stages at the left
LABEL = 0.15  # a network's name at the left
WORDS = 0.72  # title above, names of stages and axis label below
LEGEND = 0.25
HIGHEST = 3.3  # a single panel in a wide figure
FLATTEST, STEEPEST = 0.45, 1.5  # height to width of two networks' matrix


def signal_correlation(frame: pd.DataFrame, ax: Axes, *, version: str = ENERGY.column) -> Axes:
    """Draw one heat map per network, from the input (top left) to the loss, with one colour scale.

    Args:
        frame: the correlation table, one row per pair of signals.
        ax: where to draw; divided into panels.
        version: a similarity column of the frame.

    Raises:
        GradlensError: there is no such version.
    """
    names = order.networks(frame)
    if not names:
        return canvas.nothing(ax, "fewer than two signals in every network")
    version = _known(frame, version)
    divided, columns = subplots.grid(
        ax, len(names), MOST, _least(len(names)), across=ACROSS, down=DOWN, right=BAR
    )
    missing = False
    for panel, network in zip(divided, names, strict=True):
        matrix, stages = similarity_matrix(order.of_network(frame, network), version)
        image = heat_map.draw_matrix(panel, matrix, stages)
        title = canvas.shorten(network, 66 // columns)
        room = heat_map.room(panel)[0]
        canvas.headline(panel, canvas.first_that_fits([f"{title}: {len(stages)} signals", title], room))
        axis = order.stage_axis(stages)
        panel.set_xlabel(
            canvas.first_that_fits([f"signals by {axis}", "signals by stage", "signals"], room + 0.3)
        )
        missing = missing or bool(np.isnan(matrix).any())
    negative = bool((frame[version] < -0.005).any())
    heat_map.colour_bar(divided[columns - 1], image, f"CKA, {TITLES[version]}", negative=negative)
    if missing:
        grey = Patch(facecolor=PALE, edgecolor="none", label="no value (dead signal)")
        canvas.legend_above(divided[0], [grey], lift=0.25)
    return ax


def network_by_network(frame: pd.DataFrame, ax: Axes, *, version: str = ENERGY.column) -> Axes:
    """Draw layers of one network (rows) against layers of another (columns), one panel per pair of networks.

    Args:
        frame: the cross table, one row per pair of signals.
        ax: where to draw; divided into panels.
        version: a similarity column of the frame.

    Raises:
        GradlensError: there is no such version.
    """
    if frame.empty:
        return canvas.nothing(ax, "a network has no signal")
    version = _known(frame, version)
    pairs = [rows for _, rows in frame.groupby(["network_a", "network_b"], sort=False)]
    divided, columns = subplots.grid(
        ax, len(pairs), MOST, _least(len(pairs)), across=ACROSS + LABEL, down=DOWN, right=BAR
    )
    for panel, rows in zip(divided, pairs, strict=True):
        image = _draw_pair(panel, rows, version, columns)
        panel.set_aspect("auto")  # networks of different depth fill the panel
    heat_map.colour_bar(
        divided[columns - 1],
        image,
        f"CKA, {TITLES[version]}",
        negative=bool((frame[version] < -0.005).any()),
    )
    return ax


def _known(frame: pd.DataFrame, version: str) -> str:
    """Return the column of a version.

    Raises:
        GradlensError: there is no such version, or the frame lacks it.
    """
    column = version_named(version).column
    if column not in frame:
        names = ", ".join(name for name in TITLES if name in frame)
        raise GradlensError(f"version={column}: this table has no such column; it has {names}")
    return column


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
    image = heat_map.draw_matrix(panel, matrix, sides[1], sides[0])
    names = [canvas.shorten(rows[f"network_{side}"].iloc[0], 34 // columns) for side in "ab"]
    wide, high = heat_map.room(panel)
    down, across = (
        canvas.first_that_fits([f"{name}, by {order.stage_axis(side)}", f"{name}, by stage", name], room)
        for name, side, room in zip(names, sides, (high, wide), strict=True)
    )
    panel.set_ylabel(canvas.plain(down), size=canvas.NORMAL)
    panel.set_xlabel(canvas.plain(across))
    return image


def correlation_height(frame: pd.DataFrame, width: float) -> float:
    """Return the height of a figure of ``signal_correlation`` of this width, both in inches."""
    legend = LEGEND if frame["energy"].isna().any() else 0.0
    return _height(len(order.networks(frame)), width, 1.0, ACROSS) + legend


def cross_height(frame: pd.DataFrame, width: float) -> float:
    """Return the height of a figure of ``network_by_network`` of this width, both in inches."""
    count, shape = order.panels(frame), 1.0
    if count == 1:  # square cells, unless one network is much deeper
        down, across = (int(frame[f"order_{side}"].max()) + 1 for side in "ab")
        shape = min(max(down / across, FLATTEST), STEEPEST)
    return _height(count, width - LABEL, shape, ACROSS + LABEL)


def _height(count: int, width: float, shape: float, across: float) -> float:
    columns = subplots.columns_that_fit(count, MOST, _least(count), canvas.START * width)
    side = (width - TICKS - BAR - across * (columns - 1)) / columns
    rows = -(-count // columns)
    high = min(side * shape, HIGHEST) if count == 1 else side * shape
    return rows * high + (rows - 1) * DOWN + WORDS


def _least(count: int) -> float:
    """Return the smallest width of a panel with its gap, in inches."""
    return 1.4 if count > 2 else 2.0


def similarity_matrix(rows: pd.DataFrame, version: str) -> tuple[np.ndarray, list[str]]:
    """Return the full symmetric matrix of one network, and the stage of each row.

    A signal without any value is NaN on the diagonal too.
    """
    ends = pd.concat(
        [
            rows[["order_a", "stage_a"]].set_axis(["order", "stage"], axis=1),
            rows[["order_b", "stage_b"]].set_axis(["order", "stage"], axis=1),
        ]
    ).drop_duplicates("order")
    rank = {stage: i for i, stage in enumerate(in_order(ends["stage"]))}
    signals = sorted(
        zip(ends["order"], ends["stage"].astype(str), strict=True),
        key=lambda signal: (rank[signal[1]], signal[0]),
    )
    index = {depth: i for i, (depth, _) in enumerate(signals)}
    matrix = np.full((len(signals), len(signals)), np.nan)
    a = rows["order_a"].map(index).to_numpy(dtype=int)
    b = rows["order_b"].map(index).to_numpy(dtype=int)
    matrix[a, b] = matrix[b, a] = rows[version].to_numpy(dtype=float)
    live = np.isfinite(matrix).any(axis=0)
    matrix[np.diag_indices_from(matrix)] = np.where(live, 1.0, np.nan)
    return matrix, [stage for _, stage in signals]


CORRELATION = Plot(signal_correlation, side_by_side=True, fitted=correlation_height, versions=True)
CROSS = Plot(network_by_network, side_by_side=True, alone=0.64, fitted=cross_height, versions=True)
