"""An axis of sites in depth order, with the stages marked over it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gradlens.plots import canvas, order
from gradlens.plots.colours import MUTED, PALE

NAMED = 30  # sites that still can be written under an axis


def slots(rows: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """The slot of each row, and stage, site, place and kind of each slot in row order."""
    keys = ["stage", "site", "where"]
    found = rows.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    return found, rows.drop_duplicates(keys)[[*keys, "kind"]].reset_index(drop=True)


def site_axis(ax: Axes, places: pd.DataFrame, *, named: bool = True) -> None:
    """Ticks, names where they fit, and separators between stages."""
    canvas.tidy(ax)
    ax.set_xlim(-0.7, len(places) - 0.3)
    if named and len(places) <= NAMED:
        ax.set_xticks(range(len(places)), _names(places), rotation=90, fontsize=5.5)
    elif named:
        ax.set_xlabel(f"site in depth order, input to loss ({len(places)} sites)")
    if not named:
        ax.tick_params(labelbottom=False)
    for edge in _edges(places)[1:-1]:
        ax.axvline(edge - 0.5, color=PALE, linewidth=0.7, zorder=0)


def label_room(frame: pd.DataFrame) -> float:
    """Inches between two panels for the names of the upper one's sites and the lower one's head."""
    longest = 0
    for network in order.networks(frame)[:-1]:
        _, places = slots(order.of_network(frame, network))
        if len(places) <= NAMED:
            longest = max(longest, *(len(name) for name in _names(places)))
    return max(0.9, 0.55 + 0.036 * longest)


def mark_stages(ax: Axes, places: pd.DataFrame) -> None:
    """The stage of each run of sites, written over the axes."""
    edges = _edges(places)
    over = ax.get_xaxis_transform()
    style = {"transform": over, "va": "bottom", "fontsize": canvas.SMALL, "color": MUTED}
    last = -np.inf
    for start, end in pairwise(edges):
        name, centre = str(places["stage"].iloc[start]), (start + end - 1) / 2
        if (centre - last) / len(places) > 0.035:
            label = f"stride {name}" if start == 0 and name.isdigit() else canvas.shorten(name, 12)
            ax.text(centre, 1.02, canvas.plain(label), ha="center", **style)  # type: ignore[arg-type]
            last = centre


def _edges(places: pd.DataFrame) -> list[int]:
    stages = places["stage"].astype(str).tolist()
    return [0, *(i for i in range(1, len(stages)) if stages[i] != stages[i - 1]), len(stages)]


def _names(places: pd.DataFrame) -> list[str]:
    several = places["site"].duplicated(keep=False)
    return [
        canvas.plain(canvas.shorten(site, 24) + (f" ({where})" if twice else ""))
        for site, where, twice in zip(places["site"], places["where"], several, strict=True)
    ]
