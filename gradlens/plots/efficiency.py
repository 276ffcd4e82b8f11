"""Detectors: FLOPs and speed of backbone and whole network, beside their duplication given each loss."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from gradlens.catalogue.losses import ALL, BACKBONE
from gradlens.plots import canvas, order, stage_rows, subplots
from gradlens.plots.colours import INK, Style, styles_in
from gradlens.plots.cost import bar_style, network_patches
from gradlens.plots.lengths import text_width
from gradlens.plots.plot import Plot

DUPLICATION = "rarefied_duplication"
GIGA = 1e9
SLIM = 1.9  # smallest width of a panel with its gap, in inches
PANEL, AROUND, LEGEND = 1.5, 0.75, 0.5  # inches: of a panel, around each row of panels, for the legend


def efficiency(frame: pd.DataFrame, ax: Axes) -> Axes:
    """Draw FLOPs and images per second of backbone and detector, and the duplication as measured and given each loss.

    Args:
        frame: the table ``efficiency``, one row per network, part, quantity and loss.
        ax: where to draw; divided into panels.
    """
    if frame.empty:
        return canvas.nothing(ax, "nothing was measured by loss")
    styles = styles_in(frame)
    panels = [
        name for name in ("flops", "images_per_second", DUPLICATION) if (frame["quantity"] == name).any()
    ]
    divided, _ = subplots.grid(ax, len(panels), len(panels), SLIM, across=_room(frame), down=AROUND)
    for panel, quantity in zip(divided, panels, strict=True):
        rows = frame[frame["quantity"] == quantity]
        if quantity == DUPLICATION:
            _draw_duplication(panel, rows, styles)
        else:
            _draw_bars(panel, rows, styles, GIGA if quantity == "flops" else 1.0)
            flops = quantity == "flops"
            panel.set_xlabel(
                "BFLOPs per image\n(multiply-add = 2)" if flops else "images per second\n(forward pass)"
            )
    canvas.legend_above(ax, _legend(frame, styles), lift=0.28)
    return ax


def _draw_bars(panel: Axes, rows: pd.DataFrame, styles: dict[str, Style], unit: float) -> None:
    """Draw a bar per part and network, with its number, and a line from the lowest to the highest repeat."""
    parts = sorted(set(rows["part"].astype(str)), key=lambda part: part != BACKBONE)
    wide = 0.8 / len(styles)
    for slot, (network, style) in enumerate(styles.items()):
        values = order.of_network(rows, network).drop_duplicates("part").set_index("part").reindex(parts)
        value, low, high = (values[name].to_numpy(float) / unit for name in ("value", "low", "high"))
        y = np.arange(len(parts)) + (slot - (len(styles) - 1) / 2) * wide
        panel.barh(y, value, wide * 0.9, **bar_style(style))  # type: ignore[arg-type]
        panel.hlines(y, low, high, color=INK, linewidth=1.1)
        for at, number, end in zip(y, value, np.fmax(value, high), strict=True):
            if np.isfinite(number):
                panel.annotate(f"{number:.3g}", (end, at), (3, 0), textcoords="offset points", va="center",
                               fontsize=canvas.SMALL, color=INK)  # fmt: skip
    canvas.tidy(panel)
    panel.set_yticks(range(len(parts)), parts)
    panel.invert_yaxis()
    ends = rows[["value", "high"]].max(axis=1).to_numpy(float) / unit
    panel.set_xlim(
        0.0, 1.35 * float(np.nanmax(ends, initial=0.0)) or 1.0
    )  # room for the numbers beside the bars
    panel.xaxis.set_major_locator(MaxNLocator(3))


def _draw_duplication(panel: Axes, rows: pd.DataFrame, styles: dict[str, Style]) -> None:
    """Draw a row per loss that is given, with a mark per network."""
    names = rows["loss"].astype(str).map(_given)
    given = sorted(dict.fromkeys(names), key=lambda name: (name == _given(ALL)) - (name == _given("")))
    lowest = float(np.nanmin([0.0, *rows["value"].astype(float)]))
    limits = (max(lowest, -0.2), 1.0)
    stage_rows.axes(panel, given, limits, " ")
    for slot, (network, style) in enumerate(styles.items()):
        values = order.of_network(rows.assign(given=names), network).set_index("given")[
            ["value", "low", "high"]
        ]
        series = stage_rows.Series(network, style, values.astype(float))
        stage_rows.marks(panel, series, given, slot - (len(styles) - 1) / 2, limits)
    panel.set_xlabel("duplication D_m, whole network\n(0 unrelated, 1 copies)")
    panel.set_ylabel("given")


def _room(frame: pd.DataFrame) -> float:
    """Return the inches between two panels: for the names of the losses and their label."""
    names = frame.loc[frame["quantity"] == DUPLICATION, "loss"].astype(str).map(_given)
    return 0.55 + max((text_width(canvas.plain(name), canvas.SMALL) for name in names), default=0.3)


def _given(loss: str) -> str:
    """Return what is given, as the name of a row.

    >>> _given(""), _given("box"), _given("all")
    ('nothing', 'box', 'all losses')
    """
    return {"": "nothing", ALL: "all losses"}.get(loss, loss)


def _legend(frame: pd.DataFrame, styles: dict[str, Style]) -> list[Patch | Line2D | tuple[Patch, Line2D]]:
    marks = [stage_rows.Series(network, style, frame).handle() for network, style in styles.items()]
    legend: list[Patch | Line2D | tuple[Patch, Line2D]] = [*zip(network_patches(styles), marks, strict=True)]
    if (frame["quantity"] == "images_per_second").any():
        legend.append(Line2D([], [], color=INK, lw=1.1, label="images: lowest to highest repeat"))
    if frame.loc[frame["quantity"] == DUPLICATION, "low"].notna().any():
        legend.append(Line2D([], [], color=INK, lw=1.3, label="duplication: 95 % interval"))
    return legend


def height_of_efficiency(frame: pd.DataFrame, width: float) -> float:
    """Return the height of the figure, in inches."""
    panels = max(1, len(frame["quantity"].unique()))
    deep = -(-panels // subplots.columns_that_fit(panels, panels, SLIM, 0.8 * width))
    losses = len(frame["loss"].unique()) * max(
        stage_rows.LOWEST, 0.11 + stage_rows.APART * len(order.networks(frame))
    )
    return LEGEND + deep * (max(PANEL, losses) + AROUND)


EFFICIENCY = Plot(efficiency, fitted=height_of_efficiency)
