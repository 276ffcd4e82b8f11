"""The gradient version of DenseNet's reuse map."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gradlens.plots import canvas, heat_map, order, subplots
from gradlens.plots.colours import PALE
from gradlens.plots.limits import at_least
from gradlens.plots.plot import Plot


def reuse_map(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the size of the gradient of each layer's weights (rows) by the source that they read (columns).

    Layers that read a single source are left out; the colour is log10 of the RMS, on one scale for all.

    Args:
        frame: the reuse table.
        ax: where to draw; one panel per network.
    """
    readers = frame.groupby(["network", "layer"])["source"].transform("nunique") if len(frame) else None
    several = frame[(readers > 1) & (frame["rms"] > 0)] if readers is not None else frame
    names = order.networks(several)
    if not names:
        return canvas.nothing(ax, "no layer reads several sources")
    logs = np.log10(several["rms"].to_numpy(dtype=float))
    low, high = at_least(logs, 1.0, room=0.0)
    least = 1.4 if len(names) > 2 else 2.0
    divided, columns = subplots.grid(ax, len(names), 3, least, across=0.55, down=0.75, right=0.75)
    scale = matplotlib.colormaps["viridis"].with_extremes(bad=PALE)
    for panel, network in zip(divided, names, strict=True):
        rows = order.of_network(several, network)
        down, across = (rank(rows[f"order_{side}"]) for side in ("layer", "source"))
        matrix = np.full((down.max() + 1, across.max() + 1), np.nan)
        matrix[down, across] = np.log10(rows["rms"].to_numpy(dtype=float))
        image = panel.imshow(matrix, cmap=scale, vmin=low, vmax=high, interpolation="nearest", aspect="auto")
        canvas.tidy(panel)
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.set_xlabel("source, from the input")
        canvas.headline(panel, canvas.shorten(network, 66 // columns))
    divided[0].set_ylabel("layer that reads it")
    roomy = canvas.inches(divided[0])[1] > 2.0
    label = "log10 RMS of the weights' gradient" if roomy else "log10 RMS"
    heat_map.colour_bar(divided[columns - 1], image, label)
    return ax


def rank(orders: pd.Series) -> np.ndarray:
    """Return the rank of each value among the distinct values.

    >>> rank(pd.Series([7, 3, 7, 9])).tolist()
    [1, 0, 1, 2]
    """
    return np.asarray(orders.rank(method="dense").astype(int) - 1)


REUSE = Plot(reuse_map, height=3.4, side_by_side=True)
