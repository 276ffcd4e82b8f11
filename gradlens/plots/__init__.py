"""Plots of the tables: a function from a pandas frame and an Axes to that Axes.

Only matplotlib's object interface is used: no pyplot, no global state, nothing is shown. A new plot is a function and
a ``Plot`` in a file of this folder; the table's entry in ``gradlens/catalogue/tables.py`` names the ``Plot``.
"""

from __future__ import annotations

from typing import cast

import pandas as pd
from matplotlib.axes import Axes

from gradlens.catalogue import TABLES, kind
from gradlens.catalogue.named import named
from gradlens.errors import GradlensError, close_matches
from gradlens.plots.plot import Plot

__all__ = ["PLOTS", "Plot", "plot_frame"]


PLOTS: dict[str, Plot] = {
    entry.name: cast(Plot, named(f"{__name__}.{entry.plot}")) for entry in TABLES if entry.plot
}
"""By table name, in the order of the page."""


def plot_frame(name: str, frame: pd.DataFrame, ax: Axes | None = None, *, version: str = "") -> Axes:
    """Draw the frame of the table ``name``.

    Args:
        name: a key of ``PLOTS``.
        frame: the rows of that table.
        ax: where to draw; a new figure with one Axes if None.
        version: of similarity, such as ``energy_given_loss``, in figures that draw one; empty for the default.

    Raises:
        GradlensError: no plot is registered for the table, or it has no such version.
    """
    name = kind(name)
    if name not in PLOTS:
        raise GradlensError(
            f"no plot for table {name!r}; tables with a plot: {', '.join(PLOTS)}" + close_matches(name, PLOTS)
        )
    plot = PLOTS[name]
    return plot.drawn(frame, version=version) if ax is None else plot(frame, ax, version)
