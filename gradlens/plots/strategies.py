"""Networks and transition strategies: against their cost, against each other, during training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gradlens import catalogue
from gradlens.metrics import mean_interval
from gradlens.numbers import tick
from gradlens.plots import canvas, order, subplots
from gradlens.plots.colours import INK, MUTED, PALE, Style, styles_in
from gradlens.plots.plot import Plot

SLIM = 1.4  # smallest width of a panel in inches
WIDE = 30.0  # ratio of losses above which their axis is logarithmic
MAIN = catalogue.HEADLINES[0]
ABREAST = 3  # panels side by side in a figure of the preferred width, so that their titles fit
TALL = 13  # lines of text that a further row of panels takes
QUANTITIES = {entry.name: entry.figure for entry in catalogue.QUANTITIES if entry.figure}
"""Titles of the panels."""


def _trade_offs(frame: pd.DataFrame) -> list[str]:
    return [quantity for quantity in (*catalogue.HEADLINES, "accuracy") if quantity in frame]


def _trained(frame: pd.DataFrame) -> list[str]:
    return [
        quantity for quantity in (*catalogue.HEADLINES, "train_loss", "loss", "accuracy") if quantity in frame
    ]


def lines_of_trade_off(frame: pd.DataFrame) -> int:
    """Return the number of lines that further rows of panels add to the figure of strategies or networks."""
    metrics = _trade_offs(frame)
    return TALL * ((len(metrics) + ("accuracy" in metrics) - 1) // ABREAST)


def lines_of_training(frame: pd.DataFrame) -> int:
    """Return the number of lines that further rows of panels add to the figure of a training."""
    return TALL * ((len(_trained(frame)) - 1) // ABREAST)


def trade_off(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the duplication (and measured accuracy) of the whole network against FLOPs, one mark per strategy.

    Args:
        frame: the strategies or the networks table.
        ax: where to draw; divided into panels.
    """
    whole = frame[frame["stage"].astype(str) == "whole"] if not frame.empty else frame
    if whole.empty:
        return canvas.nothing(ax, "nothing was measured")
    styles = styles_in(whole)
    metrics = _trade_offs(whole)
    by_cost = "flops" in whole and bool(whole["flops"].notna().any())
    trained = "accuracy" in metrics
    count = len(metrics) + trained
    divided, _ = subplots.grid(ax, count, ABREAST, SLIM, across=0.62)
    if trained:
        _against_accuracy(divided[-1], whole, styles)
    for panel, quantity in zip(divided, metrics, strict=False):
        for index, (network, style) in enumerate(styles.items()):
            row = order.of_network(whole, network).iloc[0]
            x = float(row["flops"]) if by_cost else float(index)
            _mark(panel, x, row, quantity, style)
        canvas.tidy(panel)
        canvas.headline(panel, _title(quantity, whole))
        panel.grid(True, color=PALE, linewidth=0.4)
        panel.set_axisbelow(True)
        panel.margins(x=0.12, y=0.12)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.xaxis.set_major_formatter(lambda value, _: tick(value))
        panel.set_xlabel("FLOPs per image" if by_cost else "in the order of the table")
    canvas.legend_above(ax, _legend(styles), lift=0.28)
    return ax


def _title(quantity: str, whole: pd.DataFrame) -> str:
    """Return the title of a panel; a rarefied duplication has its number of signals."""
    title, column = QUANTITIES[quantity], catalogue.size_column(quantity)
    if not column or "m" not in whole:
        return title
    rows = whole[whole["metric"] == quantity]["m"] if "metric" in whole else whole.get(column, whole["m"])
    sizes = rows.dropna().unique()
    return title.replace("D_m", f"D_m, m = {int(sizes[0])}") if len(sizes) == 1 else title


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
        canvas.headline(panel, _title(quantity, whole))
        panel.set_yticks(range(len(names)), [canvas.plain(name) for name in names])
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.set_xlabel("difference")
        panel.margins(x=0.1)
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


def along_training(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the mean and 95 % t interval over seeds at each measured step, one panel per quantity.

    Args:
        frame: the trajectory table.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "nothing was trained")
    styles = styles_in(frame)
    metrics = _trained(frame)
    divided, _ = subplots.grid(ax, len(metrics), ABREAST, SLIM, across=0.5)
    for panel, quantity in zip(divided, metrics, strict=True):
        for network, style in styles.items():
            rows = order.of_network(frame, network)
            steps = np.unique(rows["step"])
            values = [rows.loc[rows["step"] == step, quantity].to_numpy(dtype=float) for step in steps]
            means, low, high = np.array([mean_interval(value) for value in values]).T
            panel.plot(steps, means, style.line, marker=style.marker, color=style.colour, lw=1.1, ms=3.6)
            low, high = _limited(low, high, quantity)
            panel.fill_between(steps, low, high, color=style.colour, alpha=0.15, lw=0)
        if quantity in ("train_loss", "loss"):
            _log_if_wide(panel, frame[quantity])
        canvas.tidy(panel)
        canvas.headline(panel, _title(quantity, frame))
        panel.grid(True, color=PALE, linewidth=0.4)
        panel.set_axisbelow(True)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.set_xlabel("training steps")
    canvas.legend_above(ax, _legend(styles), lift=0.28)
    return ax


def _against_accuracy(panel: Axes, whole: pd.DataFrame, styles: dict[str, Style]) -> None:
    """Draw held-out accuracy over duplication, both with their intervals."""
    for network, style in styles.items():
        row = order.of_network(whole, network).iloc[0]
        x, low, high = _bounded(row, MAIN)
        panel.hlines(float(row["accuracy"]), low, high, color=style.colour, linewidth=1.2)
        _mark(panel, x, row, "accuracy", style)
    canvas.tidy(panel)
    canvas.headline(panel, "accuracy over D_m")
    panel.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    panel.margins(x=0.12, y=0.12)
    panel.xaxis.set_major_locator(MaxNLocator(3))
    panel.set_xlabel("duplication D_m")


def _bounded(row: pd.Series, quantity: str) -> tuple[float, float, float]:
    """Return value and interval, limited to the range of the quantity."""
    value, low, high = (float(row.get(f"{quantity}{part}", np.nan)) for part in ("", "_low", "_high"))
    (low,), (high,) = _limited(np.array([low]), np.array([high]), quantity)
    return value, float(low), float(high)


def _limited(low: np.ndarray, high: np.ndarray, quantity: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval limited to the range of its quantity: at least 0, and at most 1 except for a loss."""
    return np.maximum(low, 0.0), high if quantity == "loss" else np.minimum(high, 1.0)


def _log_if_wide(panel: Axes, values: pd.Series) -> None:
    """Use a logarithmic axis if losses differ much, as those of an untrained and a trained network can."""
    positive = values[values > 0]
    if not positive.empty and positive.max() > WIDE * positive.min():
        panel.set_yscale("log")
        panel.set_ylim(positive.min() / 1.5, positive.max() * 1.5)


def _mark(panel: Axes, x: float, row: pd.Series, quantity: str, style: Style) -> None:
    value, low, high = _bounded(row, quantity)
    panel.vlines(x, low, high, color=style.colour, linewidth=1.2)
    panel.plot(x, value, style.marker, color=style.colour, markersize=5.5)


def _legend(styles: dict[str, Style]) -> list[Line2D]:
    return [
        Line2D([], [], color=style.colour, marker=style.marker, ls=style.line, lw=0.9, ms=4.8,
               label=canvas.plain(network))
        for network, style in styles.items()
    ]  # fmt: skip


def _forest_legend() -> list[Line2D]:
    return [
        Line2D([], [], color=INK, marker="o", ls="", ms=4.5, label="p < 0.05 after Holm's correction"),
        Line2D([], [], color=INK, marker="o", ls="", ms=4.5, mfc="white", label="otherwise"),
        Line2D([], [], color=INK, lw=1.2, label="95 % t interval over seeds"),
    ]


TRADE_OFF = Plot(trade_off, height=3.2, rows=lines_of_trade_off, narrow=1.5)
FOREST = Plot(forest, height=1.2, rows=lines_of_pairs, narrow=2.2)
EFFECTS = Plot(effects, height=1.2, rows=lines_of_effects, narrow=2.2)
TRAJECTORY = Plot(along_training, height=3.0, rows=lines_of_training, narrow=1.5)
