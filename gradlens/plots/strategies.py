"""Networks and transition strategies side by side: against their cost, against each other, along a training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from gradlens.plots import canvas, order
from gradlens.plots.colours import INK, MUTED, PALE, Style, styles_in
from gradlens.plots.duplication import t_interval
from gradlens.plots.plot import Plot

SLIM = 1.4  # inches that a panel takes at least
CLEAR = 0.05  # corrected p below which a difference is drawn filled
WIDE = 30.0  # ratio of losses above which their axis is logarithmic
QUANTITIES = {
    "duplication": "duplication D",
    "duplication_given_loss": "D given the loss",
    "merge_correlation": "correlation at the merge",
    "accuracy": "held-out accuracy",
    "loss": "held-out loss",
}


def trade_off(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Duplication, and accuracy where there is one, against FLOPs; the whole network, a mark a strategy.

    Args:
        frame: the strategies or the networks table.
        ax: where to draw; divided into panels.
    """
    whole = frame[frame["stage"].astype(str) == "whole"] if not frame.empty else frame
    if whole.empty:
        return canvas.nothing(ax, "nothing was measured")
    looks = styles_in(whole)
    shown = [q for q in ("duplication", "duplication_given_loss", "accuracy") if q in whole]
    by_cost = "flops" in whole and bool(whole["flops"].notna().any())
    learnt = "accuracy" in shown
    count = len(shown) + learnt
    cut, _ = canvas.grid(ax, count, count, SLIM, across=0.62)
    if learnt:
        _against_accuracy(cut[-1], whole, looks)
    for panel, quantity in zip(cut, shown, strict=False):
        for place, (network, look) in enumerate(looks.items()):
            row = order.of_network(whole, network).iloc[0]
            x = float(row["flops"]) if by_cost else float(place)
            _mark(panel, x, row, quantity, look)
        canvas.tidy(panel)
        canvas.headline(panel, QUANTITIES[quantity])
        panel.grid(True, color=PALE, linewidth=0.4)
        panel.set_axisbelow(True)
        panel.margins(x=0.12, y=0.12)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.xaxis.set_major_formatter(EngFormatter(sep="\N{THIN SPACE}"))
        panel.set_xlabel("FLOPs an image" if by_cost else "in the order given")
    canvas.legend_above(ax, _legend(looks), lift=0.28)
    return ax


MOST = 15
"""Pairs that are all drawn; of more, only those with the first strategy."""


def pairs(frame: pd.DataFrame) -> int:
    """Pairs of strategies that a picture of a table of differences holds."""
    return len(_drawn(frame)[["a", "b"]].drop_duplicates())


def _drawn(frame: pd.DataFrame) -> pd.DataFrame:
    many = not frame.empty and len(frame[["a", "b"]].drop_duplicates()) > MOST
    return frame[frame["a"] == frame["a"].iloc[0]] if many else frame


def forest(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Difference and interval of every two strategies over the whole network, a panel a quantity.

    Of more than ``MOST`` pairs only those with the first strategy are drawn; the table has all.

    Args:
        frame: the differences or the contrasts table.
        ax: where to draw; divided into panels.
    """
    whole = frame[frame["stage"].astype(str) == "whole"] if not frame.empty else frame
    whole = _drawn(whole)
    shown = [q for q in QUANTITIES if not whole.empty and (whole["metric"] == q).any()]
    if not shown:
        return canvas.nothing(ax, "there is nothing to compare with")
    names = [f"{b} − {a}" for a, b in whole[["a", "b"]].drop_duplicates().itertuples(index=False)]
    drawn, columns = canvas.grid(ax, len(shown), len(shown), 2.0, across=0.25)
    for panel, quantity in zip(drawn, shown, strict=True):
        rows = whole[whole["metric"] == quantity]
        at = [names.index(f"{b} − {a}") for a, b in zip(rows["a"], rows["b"], strict=True)]
        panel.axvline(0, color=MUTED, linewidth=0.8)
        panel.hlines(at, rows["low"], rows["high"], color=INK, linewidth=1.2)
        clear = (rows["p_holm"] < CLEAR).to_numpy()
        for place, value, filled in zip(at, rows["difference"], clear, strict=True):
            panel.plot(value, place, "o", color=INK, ms=4.6, mfc=INK if filled else "white", mew=0.9)
        canvas.tidy(panel)
        canvas.headline(panel, QUANTITIES[quantity])
        panel.set_yticks(range(len(names)), [canvas.plain(name) for name in names])
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.set_xlabel("difference")
        panel.margins(x=0.1)
    for place, panel in enumerate(drawn):
        panel.tick_params(labelleft=place % columns == 0)
    canvas.legend_above(ax, _forest_legend(), lift=0.28)
    return ax


def along_training(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Mean and 95 % t interval over seeds at each measured step, a panel a quantity.

    Args:
        frame: the trajectory table.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "nothing was trained")
    looks = styles_in(frame)
    shown = [q for q in ("duplication", "duplication_given_loss", "loss", "accuracy") if q in frame]
    cut, _ = canvas.grid(ax, len(shown), len(shown), SLIM, across=0.5)
    for panel, quantity in zip(cut, shown, strict=True):
        for network, look in looks.items():
            rows = order.of_network(frame, network)
            steps = np.unique(rows["step"])
            values = [rows.loc[rows["step"] == step, quantity].to_numpy(dtype=float) for step in steps]
            means, halves = np.array([t_interval(value) for value in values]).T
            panel.plot(steps, means, look.line, marker=look.marker, color=look.colour, lw=1.1, ms=3.6)
            low, high = _limited(means - halves, means + halves, quantity)
            panel.fill_between(steps, low, high, color=look.colour, alpha=0.15, lw=0)
        if quantity == "loss":
            _log_where_wide(panel, frame["loss"])
        canvas.tidy(panel)
        canvas.headline(panel, QUANTITIES[quantity])
        panel.grid(True, color=PALE, linewidth=0.4)
        panel.set_axisbelow(True)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.set_xlabel("training steps")
    canvas.legend_above(ax, _legend(looks), lift=0.28)
    return ax


def _against_accuracy(panel: Axes, whole: pd.DataFrame, looks: dict[str, Style]) -> None:
    """Held-out accuracy over duplication, both with their intervals."""
    for network, look in looks.items():
        row = order.of_network(whole, network).iloc[0]
        x, low, high = _bounded(row, "duplication")
        panel.hlines(float(row["accuracy"]), low, high, color=look.colour, linewidth=1.2)
        _mark(panel, x, row, "accuracy", look)
    canvas.tidy(panel)
    canvas.headline(panel, "accuracy over D")
    panel.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    panel.margins(x=0.12, y=0.12)
    panel.xaxis.set_major_locator(MaxNLocator(3))
    panel.set_xlabel("duplication D")


def _bounded(row: pd.Series, quantity: str) -> tuple[float, float, float]:
    """Value and interval, as far as the quantity can go."""
    value, low, high = (float(row.get(f"{quantity}{part}", np.nan)) for part in ("", "_low", "_high"))
    (low,), (high,) = _limited(np.array([low]), np.array([high]), quantity)
    return value, float(low), float(high)


def _limited(low: np.ndarray, high: np.ndarray, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """An interval ends where its quantity does: at 0, and that of a share at 1."""
    return np.maximum(low, 0.0), high if quantity == "loss" else np.minimum(high, 1.0)


def _log_where_wide(panel: Axes, values: pd.Series) -> None:
    """A fresh network's held-out loss may be a thousand times a trained one's."""
    known = values[values > 0]
    if not known.empty and known.max() > WIDE * known.min():
        panel.set_yscale("log")
        panel.set_ylim(known.min() / 1.5, known.max() * 1.5)


def _mark(panel: Axes, x: float, row: pd.Series, quantity: str, look: Style) -> None:
    value, low, high = _bounded(row, quantity)
    panel.vlines(x, low, high, color=look.colour, linewidth=1.2)
    panel.plot(x, value, look.marker, color=look.colour, markersize=5.5)


def _legend(looks: dict[str, Style]) -> list[Line2D]:
    return [
        Line2D([], [], color=look.colour, marker=look.marker, ls=look.line, lw=0.9, ms=4.8,
               label=canvas.plain(network))
        for network, look in looks.items()
    ]  # fmt: skip


def _forest_legend() -> list[Line2D]:
    return [
        Line2D([], [], color=INK, marker="o", ls="", ms=4.5, label="p < 0.05 after Holm's correction"),
        Line2D([], [], color=INK, marker="o", ls="", ms=4.5, mfc="white", label="not so"),
        Line2D([], [], color=INK, lw=1.2, label="95 % t interval over seeds"),
    ]


TRADE_OFF = Plot(trade_off, height=3.2, narrow=1.5)
FOREST = Plot(forest, height=1.2, rows=pairs, narrow=2.2)
TRAJECTORY = Plot(along_training, height=3.0, narrow=1.5)
