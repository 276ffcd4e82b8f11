"""A layout engine that repeats the layout of a figure until it is stable."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox, TransformedBbox

STABLE = 0.01
"""Movement of axes, in inches, below which a layout is stable."""


class Settled(ConstrainedLayoutEngine):
    """Constrained layout that is repeated until it is stable.

    The space around a panel of fixed shape depends on its size, and its size on that space, so after
    matplotlib's two rounds text can still be outside the page. A figure with one axes needs no solver, and no second
    round where the first was stable; this measures its text half as often.
    """

    ROUNDS = 16

    def execute(self, fig: Figure) -> None:
        """Lay out the figure until no axes move by more than ``STABLE``."""
        before = _positions(fig)  # of the last layout, if the figure was saved before
        for _ in range(self.ROUNDS):
            if not self._fitted(fig):
                super().execute(fig)
            bounds = _positions(fig)
            if np.abs(bounds - before).max(initial=0.0) * max(fig.get_size_inches()) < STABLE:
                return
            before = bounds

    def _fitted(self, fig: Figure) -> bool:
        """Fit axes that are alone in the figure, with all that belongs to them; return False if they are not alone."""
        ax = _alone(fig)
        outside = None if ax is None else ax.get_tightbbox(for_layout_only=True)
        if ax is None or outside is None:
            return False
        inside = ax.get_position(original=True)
        outer = TransformedBbox(outside, fig.transFigure.inverted())
        pads = np.array([self.get()["w_pad"], self.get()["h_pad"]]) / fig.get_size_inches()
        beside = np.subtract([inside.min, outer.max], [outer.min, inside.max])
        beside = np.maximum(beside, 0.0)  # less if the shape is fixed
        corners = np.array([pads + beside[0], 1 - pads - beside[1]])
        if (corners[1] <= corners[0]).any():  # matplotlib warns
            return False
        ax.set_position(Bbox(corners), which="original")
        ax.set_in_layout(True)
        return True


def _alone(fig: Figure) -> Axes | None:
    """Return the axes of a figure that has nothing else to lay out, else None."""
    if len(fig.axes) != 1 or fig.subfigs or fig.legends or fig.texts:
        return None
    spec = fig.axes[0].get_subplotspec()
    if spec is None or spec.get_gridspec().get_geometry() != (1, 1) or not fig.axes[0].get_in_layout():
        return None
    return fig.axes[0]


def _positions(fig: Figure) -> np.ndarray:
    """Return the positions of all axes, as shares of the figure."""
    return np.array([ax.get_position(original=True).bounds for ax in fig.axes])
