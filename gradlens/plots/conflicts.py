"""Conflict of losses over depth: the cosine between the gradients of each pair of losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradlens.plots import canvas, order, subplots
from gradlens.plots.colours import INK, MUTED, PALE, POSITIONS, Style, loss_styles
from gradlens.plots.flow import DEPTH
from gradlens.plots.limits import at_least
from gradlens.plots.plot import Plot

HALF = 0.5
"""Share of samples in conflict above which a mark has a ring."""
LEAST = 0.4  # smallest range of the axis of cosines
ABREAST, SLIM = 2, 2.4  # panels side by side, and the smallest width of one with its gap in inches
PANEL, ROWS, AROUND = 1.75, 0.95, 0.35  # inches: of a panel, around each row of panels, for the legend
LINES = tuple(dict.fromkeys(style.line for style in POSITIONS))
"""Line style of each pair."""


@dataclass(frozen=True)
class Pair:
    """A pair of losses and how it is drawn: its marks have the colours of both losses, its line their mean."""

    losses: tuple[str, str]
    colours: tuple[str, str]
    line: str

    @property
    def colour(self) -> str:
        """The mean of both colours."""
        return to_hex(np.mean([to_rgb(colour) for colour in self.colours], axis=0))

    @property
    def mark(self) -> dict[str, object]:
        """The arguments of a mark with the colours of both losses."""
        first, second = self.colours
        return {"marker": "o", "fillstyle": "left", "markerfacecolor": first, "markerfacecoloralt": second,
                "markeredgewidth": 0}  # fmt: skip

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return its rows in the order of depth."""
        first, second = self.losses
        chosen = (frame["loss_a"].astype(str) == first) & (frame["loss_b"].astype(str) == second)
        return frame[chosen].sort_values("depth", kind="stable")


def conflict_by_depth(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the cosine of each pair of losses at each signal against its depth, one panel per network.

    Args:
        frame: the table ``conflicts``, one row per network, level, place and pair; the rows of the level ``signal`` are
            drawn.
        ax: where to draw; divided into panels.
    """
    rows = signals_only(frame)
    if rows.empty:
        return canvas.nothing(ax, "one loss only, or no signal was measured")
    pairs = pairs_of(rows)
    names = order.networks(rows)
    divided, columns = subplots.grid(ax, len(names), ABREAST, SLIM, across=0.5, down=0.75)
    limits = at_least(rows[_drawn(rows)].to_numpy(float).ravel(), LEAST, (-1.0, 1.0))
    for index, (panel, network) in enumerate(zip(divided, names, strict=True)):
        signals = order.of_network(rows, network)
        for pair in pairs:
            _draw_pair(panel, pair, pair.of(signals))
        _dress(panel, network, (min(limits[0], -0.05), max(limits[1], 0.05)))
        if index % columns == 0:
            panel.set_ylabel("cosine of two losses\n(below 0: conflict)")
    canvas.legend_above(ax, _legend(rows, pairs), lift=0.28)
    return ax


def signals_only(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of signals of a table of losses, which have a depth."""
    return frame if frame.empty else frame[frame["level"].astype(str) == "signal"]


def pairs_of(rows: pd.DataFrame) -> list[Pair]:
    """Return the pairs of losses in order of appearance."""
    styles: dict[str, Style] = loss_styles(rows)
    names = rows[["loss_a", "loss_b"]].astype(str).drop_duplicates().itertuples(index=False)
    return [
        Pair((a, b), (styles[a].colour, styles[b].colour), LINES[index % len(LINES)])
        for index, (a, b) in enumerate(names)
    ]


def _drawn(rows: pd.DataFrame) -> list[str]:
    return [name for name in ("cosine", "cosine_low", "cosine_high") if name in rows]


def _draw_pair(panel: Axes, pair: Pair, rows: pd.DataFrame) -> None:
    depth, cosine = rows["depth"].to_numpy(float), rows["cosine"].to_numpy(float)
    middle = rows.groupby("depth")[_drawn(rows)].mean()
    panel.plot(middle.index, middle["cosine"], pair.line, color=pair.colour, linewidth=0.9, zorder=3)
    if "cosine_low" in middle:
        low, high = (middle[f"cosine_{end}"].astype(float) for end in ("low", "high"))
        panel.fill_between(middle.index, low, high, color=pair.colour, alpha=0.16, linewidth=0, zorder=1)
    panel.plot(depth, cosine, ls="", ms=4.4, zorder=4, **pair.mark)  # type: ignore[arg-type]
    most = rows["conflict"].to_numpy(float) > HALF
    panel.plot(depth[most], cosine[most], "o", ls="", ms=7.0, mfc="none", mec=INK, mew=0.8, zorder=5)


def _dress(panel: Axes, network: str, limits: tuple[float, float]) -> None:
    canvas.tidy(panel)
    canvas.headline(panel, network)
    panel.set_ylim(*limits)
    panel.axhline(0.0, color=MUTED, linewidth=0.8, zorder=2)
    panel.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    panel.margins(x=0.03)
    texts = [DEPTH, "depth (weighted layers)", "depth"]
    panel.set_xlabel(canvas.first_that_fits(texts, canvas.inches(panel)[0]))


def _legend(rows: pd.DataFrame, pairs: list[Pair]) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=pair.colour, ls=pair.line, lw=0.9, ms=4.8, label=canvas.plain(" | ".join(pair.losses)),
               **pair.mark)  # type: ignore[arg-type]
        for pair in pairs
    ]  # fmt: skip
    if (rows["conflict"].astype(float) > HALF).any():
        text = "conflict in more than half of the samples"
        handles.append(Line2D([], [], ls="", marker="o", mfc="none", mec=INK, mew=0.8, ms=7.0, label=text))
    if "cosine_low" in rows and rows["cosine_low"].notna().any():
        handles.append(Patch(facecolor=MUTED, alpha=0.3, label="95 % interval"))
    return handles


def height_of_conflicts(frame: pd.DataFrame, width: float) -> float:
    """Return the height of the figure, in inches."""
    count = max(1, len(order.networks(signals_only(frame))))
    deep = -(-count // subplots.columns_that_fit(count, ABREAST, SLIM, 0.8 * width))
    return AROUND + deep * (PANEL + ROWS)


CONFLICTS = Plot(conflict_by_depth, side_by_side=True, alone=0.7, fitted=height_of_conflicts)
