"""The cost of each stage, and the speed of the networks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from gradlens.graph.stage_order import in_order
from gradlens.numbers import format_cell, format_of, tick
from gradlens.plots import canvas, order, stage_names, subplots
from gradlens.plots.colours import INK, PALE, Style, styles_in
from gradlens.plots.plot import ROW, Plot

PANELS = {
    "flops": "FLOPs / image",
    "parameters": "parameters (elements)",
    "traffic_elements": "traffic (elements / image)",
    "saved_bytes": "saved for backward (MiB / image)",
}
MEBI = 2.0**20


def cost_by_stage(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw four panels of bars by stage, networks side by side; with totals for one or two networks.

    Args:
        frame: the cost table, one row per stage; the row ``whole`` has the totals.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "no cost was counted")
    styles = styles_in(frame)
    divided, columns = subplots.grid(ax, len(PANELS), 2, 2.0, across=0.6, down=0.62)
    for panel, (column, title) in zip(divided, PANELS.items(), strict=True):
        _draw_bars(panel, frame, column, styles)
        canvas.headline(panel, title)
    for panel in divided[:-columns]:
        panel.tick_params(labelbottom=not _upright(panel))
    for panel in divided[-columns:]:
        panel.set_xlabel(order.stage_axis(frame["stage"]))
    canvas.legend_above(ax, network_patches(styles), lift=0.28)
    return ax


def throughput(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw images per second by pass, with the range over the repeats.

    Args:
        frame: the throughput table, one row per network and pass.
        ax: where to draw.
    """
    if frame.empty or not frame["images_per_second"].notna().any():
        return canvas.nothing(ax, "no speed was measured")
    styles = styles_in(frame)
    passes = list(dict.fromkeys(frame["pass"].astype(str)))
    height = 0.8 / len(styles)
    for i, (network, style) in enumerate(styles.items()):
        rows = order.of_network(frame, network).drop_duplicates("pass").set_index("pass").reindex(passes)
        y = np.arange(len(passes)) + (i - (len(styles) - 1) / 2) * height
        ax.barh(y, rows["images_per_second"], height * 0.9, **bar_style(style))  # type: ignore[arg-type]
        ax.hlines(y, rows["low"], rows["high"], color=INK, linewidth=1.1)
        for at, speed, high in zip(y, rows["images_per_second"], rows["high"], strict=True):
            if np.isfinite(speed):
                end = np.nanmax([speed, high])
                ax.annotate(f"{speed:.3g}", (end, at), (3, 0), textcoords="offset points",
                            va="center", fontsize=canvas.SMALL, color=INK)  # fmt: skip
    canvas.tidy(ax)
    ax.set_yticks(range(len(passes)), passes)
    ax.invert_yaxis()
    ax.margins(x=0.1)
    ax.set_xlabel("images per second\n(line: lowest to highest repeat)")
    canvas.legend_above(ax, network_patches(styles), lift=0.08)
    return ax


def _draw_bars(panel: Axes, frame: pd.DataFrame, column: str, styles: dict[str, Style]) -> None:
    stages = in_order(frame["stage"])
    stages = [stage for stage in stages if stage != "whole"] or stages
    width = 0.8 / len(styles)
    for i, (network, style) in enumerate(styles.items()):
        rows = order.of_network(frame, network)
        value = rows.set_index(rows["stage"].astype(str))[column].astype(float)
        value = value[~value.index.duplicated()]
        x = np.arange(len(stages)) + (i - (len(styles) - 1) / 2) * width
        unit = MEBI if format_of(column) == "bytes" else 1.0
        panel.bar(x, value.reindex(stages) / unit, width * 0.92, **bar_style(style))  # type: ignore[arg-type]
        if len(styles) <= 2 and "whole" in value.index and np.isfinite(value["whole"]):
            _total(panel, f"total {format_cell(float(value['whole']), column)}", style, i, len(styles))
    canvas.tidy(panel)
    stage_names.on_axis(panel, stages)
    panel.yaxis.set_major_formatter(lambda value, _: tick(value))
    panel.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 4, 5, 8, 10]))
    panel.yaxis.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    panel.margins(y=0.08)


def _upright(panel: Axes) -> bool:
    """Return whether the names of the stages are upright: then only the panels at the bottom have them."""
    return any(label.get_rotation() for label in panel.get_xticklabels())


def lines_of_cost(frame: pd.DataFrame) -> int:
    """Return the number of lines of text that the names of the stages add to the figure."""
    return stage_names.lines(in_order(frame["stage"]), ROW)


def _total(panel: Axes, text: str, style: Style, line: int, count: int) -> None:
    panel.text(
        1.0,
        1.02 + 0.075 * (count - 1 - line),
        text,
        transform=panel.transAxes,
        ha="right",
        va="bottom",
        fontsize=canvas.SMALL,
        color=style.colour,
    )


def bar_style(style: Style) -> dict[str, object]:
    """Return the arguments of the bars of a network."""
    return {"color": style.colour, "hatch": style.hatch, "edgecolor": "white", "linewidth": 0.4}


def network_patches(styles: dict[str, Style]) -> list[Patch]:
    """Return one entry of the legend per network, as a bar."""
    return [
        Patch(facecolor=style.colour, hatch=style.hatch, edgecolor="white", label=canvas.plain(network))
        for network, style in styles.items()
    ]


COST = Plot(cost_by_stage, height=4.2, narrow=1.9, rows=lines_of_cost)
THROUGHPUT = Plot(throughput, height=1.4, rows=lambda frame: max(4, 2 * len(order.networks(frame))))
