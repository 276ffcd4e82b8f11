"""The layout of a figure, gone over until nothing moves."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine


class Settled(ConstrainedLayoutEngine):
    """Constrained layout that is gone over until it rests.

    Panels of a fixed shape change their slack with the room they get, and the room they need with
    their slack; matplotlib's own two rounds can end with words beyond the page.
    """

    ROUNDS = 8

    def execute(self, fig: Figure) -> None:
        """Lay the figure out until no axes move by a hundredth of an inch."""
        before = None
        for _ in range(self.ROUNDS):
            super().execute(fig)
            place = np.array([ax.get_position(original=True).bounds for ax in fig.axes])
            if before is not None and np.abs(place - before).max() * max(fig.get_size_inches()) < 0.01:
                return
            before = place
