"""A layout engine that repeats matplotlib's constrained layout until it is stable."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine


class Settled(ConstrainedLayoutEngine):
    """Constrained layout that is repeated until it is stable.

    The space around a panel of fixed shape depends on its size, and its size on that space, so after
    matplotlib's two rounds text can still be outside the page.
    """

    ROUNDS = 8

    def execute(self, fig: Figure) -> None:
        """Lay out the figure until no axes move by more than a hundredth of an inch."""
        before = _positions(fig)  # of the last layout, if the figure was saved before
        for _ in range(self.ROUNDS):
            super().execute(fig)
            bounds = _positions(fig)
            if np.abs(bounds - before).max(initial=0.0) * max(fig.get_size_inches()) < 0.01:
                return
            before = bounds


def _positions(fig: Figure) -> np.ndarray:
    """Return the positions of all axes, as shares of the figure."""
    return np.array([ax.get_position(original=True).bounds for ax in fig.axes])
