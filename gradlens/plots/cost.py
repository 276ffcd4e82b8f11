"""What each stage costs, and how fast the networks ran."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

from gradlens.plots import canvas, order
from gradlens.plots.colours import INK, PALE, Style, styles_in
from gradlens.plots.plot import Plot

PANELS = {
    "flops": "FLOPs / image",
    "parameters": "parameters (elements)",
    "traffic_elements": "traffic (elements / image)",
    "saved_bytes": "saved for backward (MiB / image)",
}
MEBI = 2.0**20


def cost_by_stage(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Four panels of bars by stage, networks side by side; totals where there are one or two.

    Args:
        frame: the cost table, a row a stage; the row ``whole`` gives the totals.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "no cost was counted")
    looks = styles_in(frame)
    cut, columns = canvas.grid(ax, len(PANELS), 2, 2.0, across=0.6, down=0.62)
    for panel, (column, title) in zip(cut, PANELS.items(), strict=True):
        _draw_bars(panel, frame, column, looks)
        canvas.headline(panel, title)
    for panel in cut[-columns:]:
        panel.set_xlabel(order.stage_axis(frame["stage"]))
    canvas.legend_above(ax, _network_patches(looks), lift=0.28)
    return ax


def throughput(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Images a second by pass, with the range over the repeats.

    Args:
        frame: the throughput table, a row a network and pass.
        ax: where to draw.
    """
    if frame.empty or not frame["images_per_second"].notna().any():
        return canvas.nothing(ax, "no speed was measured")
    looks = styles_in(frame)
    passes = list(dict.fromkeys(frame["pass"].astype(str)))
    height = 0.8 / len(looks)
    for i, (network, look) in enumerate(looks.items()):
        rows = order.of_network(frame, network).drop_duplicates("pass").set_index("pass").reindex(passes)
        y = np.arange(len(passes)) + (i - (len(looks) - 1) / 2) * height
        ax.barh(y, rows["images_per_second"], height * 0.9, **_bar_look(look))  # type: ignore[arg-type]
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
    canvas.legend_above(ax, _network_patches(looks), lift=0.08)
    return ax


def _draw_bars(panel: Axes, frame: pd.DataFrame, column: str, looks: dict[str, Style]) -> None:
    places = order.stages(frame["stage"])
    places = [place for place in places if place != "whole"] or places
    width = 0.8 / len(looks)
    for i, (network, look) in enumerate(looks.items()):
        rows = order.of_network(frame, network)
        value = rows.set_index(rows["stage"].astype(str))[column].astype(float)
        value = value[~value.index.duplicated()]
        x = np.arange(len(places)) + (i - (len(looks) - 1) / 2) * width
        unit = MEBI if column.endswith("bytes") else 1.0
        panel.bar(x, value.reindex(places) / unit, width * 0.92, **_bar_look(look))  # type: ignore[arg-type]
        if len(looks) <= 2 and "whole" in value.index and np.isfinite(value["whole"]):
            _total(panel, f"total {_amount(value['whole'] / unit, column)}", look, i, len(looks))
    canvas.tidy(panel)
    panel.set_xticks(range(len(places)), [canvas.plain(canvas.shorten(p, 9)) for p in places])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, column)))
    panel.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 4, 5, 8, 10]))
    panel.yaxis.grid(True, color=PALE, linewidth=0.4)
    panel.set_axisbelow(True)
    panel.margins(y=0.08)


def _total(panel: Axes, text: str, look: Style, place: int, count: int) -> None:
    panel.text(
        1.0,
        1.02 + 0.075 * (count - 1 - place),
        text,
        transform=panel.transAxes,
        ha="right",
        va="bottom",
        fontsize=canvas.SMALL,
        color=look.colour,
    )


def _amount(value: float, column: str) -> str:
    return _number(value, column) + (" MiB" if column.endswith("bytes") else "")


def _number(value: float, column: str) -> str:
    if column.endswith("bytes"):
        return f"{value:.3g}"
    return EngFormatter(sep="\N{THIN SPACE}")(float(f"{value:.3g}"))


def _bar_look(look: Style) -> dict[str, object]:
    return {"color": look.colour, "hatch": look.hatch, "edgecolor": "white", "linewidth": 0.4}


def _network_patches(looks: dict[str, Style]) -> list[Patch]:
    return [
        Patch(facecolor=look.colour, hatch=look.hatch, edgecolor="white", label=canvas.plain(network))
        for network, look in looks.items()
    ]


COST = Plot(cost_by_stage, height=4.2, narrow=1.9)
THROUGHPUT = Plot(throughput, height=1.4, rows=lambda frame: max(4, 2 * len(order.networks(frame))))
