"""Differences between networks or strategies, and the effects of strategies, with their intervals."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradlens import catalogue
from gradlens.plots import canvas, subplots
from gradlens.plots.colours import INK, MUTED
from gradlens.plots.limits import at_least
from gradlens.plots.plot import Plot
from gradlens.plots.quantities import ABREAST, QUANTITIES, panel_title

LEAST = 0.1  # smallest range of the axis of differences
MOST = 15
"""Largest number of pairs that are all drawn; of more pairs, only those with the first strategy are drawn."""


BELOW = 5
"""Lines of text that the axis and the title between two rows of panels take."""


def lines_of_pairs(frame: pd.DataFrame) -> int:
    """Return the number of lines in the figure of a table of differences: one per pair in each row of panels."""
    return _lines(frame, len(_drawn(frame)[["a", "b"]].drop_duplicates()))


def _lines(frame: pd.DataFrame, names: int) -> int:
    drawn = len(set(frame["metric"]) & set(QUANTITIES))
    rows = max(1, -(-drawn // ABREAST))
    return rows * names + (rows - 1) * BELOW


def _drawn(frame: pd.DataFrame) -> pd.DataFrame:
    many = not frame.empty and len(frame[["a", "b"]].drop_duplicates()) > MOST
    return frame[frame["a"] == frame["a"].iloc[0]] if many else frame


def forest(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the difference and interval of each pair of strategies over the whole network, one panel per quantity.

    Of more than ``MOST`` pairs, only those with the first strategy are drawn; the table has all.

    Args:
        frame: the differences or the contrasts table.
        ax: where to draw; divided into panels.
    """
    whole = frame[frame["stage"].astype(str) == "whole"] if not frame.empty else frame
    return _panels(_drawn(whole), ax, lambda a, b: f"{b} − {a}")


def _panels(frame: pd.DataFrame, ax: Axes, label: Callable[[object, object], str]) -> Axes:
    """Draw differences with their intervals over the whole network, one panel per quantity and one row per label."""
    whole = frame[frame["stage"].astype(str) == "whole"] if not frame.empty else frame
    metrics = [q for q in QUANTITIES if not whole.empty and (whole["metric"] == q).any()]
    if not metrics:
        return canvas.nothing(ax, "there are no pairs to compare")
    names = [label(a, b) for a, b in whole[["a", "b"]].drop_duplicates().itertuples(index=False)]
    drawn, columns = subplots.grid(ax, len(metrics), len(metrics), 2.0, across=0.25)
    for panel, quantity in zip(drawn, metrics, strict=True):
        rows = whole[whole["metric"] == quantity]
        at = [names.index(label(a, b)) for a, b in zip(rows["a"], rows["b"], strict=True)]
        panel.axvline(0, color=MUTED, linewidth=0.8)
        panel.hlines(at, rows["low"], rows["high"], color=INK, linewidth=1.2)
        clear = (rows["p_holm"] < catalogue.CLEAR).to_numpy()
        for height, value, filled in zip(at, rows["difference"], clear, strict=True):
            panel.plot(value, height, "o", color=INK, ms=4.6, mfc=INK if filled else "white", mew=0.9)
        canvas.tidy(panel)
        canvas.headline(panel, panel_title(quantity, whole))
        panel.set_yticks(range(len(names)), [canvas.plain(name) for name in names])
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.set_xlabel("difference")
        panel.set_xlim(*at_least([0.0, *rows[["difference", "low", "high"]].to_numpy(float).ravel()], LEAST))
    for index, panel in enumerate(drawn):
        panel.tick_params(labelleft=index % columns == 0)
    canvas.legend_above(ax, _forest_legend(), lift=0.28)
    return ax


def lines_of_effects(frame: pd.DataFrame) -> int:
    """Return the number of lines in the figure of a table of effects: one per effect in each row of panels."""
    return 1 if frame.empty else _lines(frame, len(frame[["strategy", "effect"]].drop_duplicates()))


def effects(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the effect of each strategy, of its transitions alone and of its cut, one panel per quantity.

    Args:
        frame: the effects table.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "no strategy has a control")
    named = frame.assign(
        a="",
        b=[
            f"{strategy}: {effect}"
            for strategy, effect in zip(frame["strategy"], frame["effect"], strict=True)
        ],
    )
    return _panels(named, ax, lambda a, b: str(b))


def _forest_legend() -> list[Line2D]:
    return [
        Line2D([], [], color=INK, marker="o", ls="", ms=4.5, label="p < 0.05 after Holm's correction"),
        Line2D([], [], color=INK, marker="o", ls="", ms=4.5, mfc="white", label="otherwise"),
        Line2D([], [], color=INK, lw=1.2, label="95 % t interval over seeds"),
    ]


FOREST = Plot(forest, height=1.2, rows=lines_of_pairs, narrow=2.2)
EFFECTS = Plot(effects, height=1.2, rows=lines_of_effects, narrow=2.2)
