"""An axis of sites in depth order, with the stages marked above it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from gradlens.plots import canvas, order, stage_names
from gradlens.plots.colours import MUTED, PALE
from gradlens.plots.lengths import text_width

NAMED = 30  # largest number of sites whose names fit under an axis
TINY = 6.0  # points: names of sites
LONGEST = 30  # characters of a name
FITS = 24  # largest length in characters of a name that keeps its operation
HEAD = 0.46  # inches above a panel for its title and stages


def by_site(rows: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the slot of each row, and a frame with stage, site, ``where`` and kind of each slot."""
    keys = ["stage", "site", "where"]
    slot = rows.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    return slot, rows.drop_duplicates(keys)[[*keys, "kind"]].reset_index(drop=True)


def site_axis(ax: Axes, slots: pd.DataFrame, *, named: bool = True) -> None:
    """Set ticks, names if they fit, and separators between stages."""
    canvas.tidy(ax)
    ax.set_xlim(-0.7, len(slots) - 0.3)
    if named and len(slots) <= NAMED:
        ax.set_xticks(range(len(slots)), _names(slots), rotation=90, fontsize=TINY)
    elif named:
        ax.set_xlabel(f"site in depth order, input to loss ({len(slots)} sites)")
    if not named:
        ax.tick_params(bottom=False, labelbottom=False)
    for edge in _edges(slots)[1:-1]:
        ax.axvline(edge - 0.5, color=PALE, linewidth=0.7, zorder=0)


def label_room(frame: pd.DataFrame) -> float:
    """Return the inches between two panels: for the site names of the upper and the title of the lower panel."""
    longest = 0.25  # the label of the axis if there are no names
    for network in order.networks(frame)[:-1]:
        _, slots = by_site(order.of_network(frame, network))
        if len(slots) <= NAMED:
            longest = max(longest, *(text_width(name, TINY) for name in _names(slots)))
    return HEAD + 0.12 + longest


def mark_stages(ax: Axes, slots: pd.DataFrame) -> None:
    """Write the stage of each run of sites above the axes."""
    edges = _edges(slots)
    above = ax.get_xaxis_transform()
    style = {"transform": above, "va": "bottom", "fontsize": canvas.SMALL, "color": MUTED}
    site = canvas.inches(ax)[0] / len(slots)  # inches per site
    free = -np.inf
    for start, end in pairwise(edges):
        name, centre = str(slots["stage"].iloc[start]), (start + end - 1) / 2
        label = f"stride {name}" if start == 0 and name.isdigit() else stage_names.short(name, 12)
        label = canvas.plain(label)
        half = text_width(label, canvas.SMALL) / site / 2
        if centre - half >= free:
            ax.text(centre, 1.02, label, ha="center", **style)  # type: ignore[arg-type]
            free = centre + half + 0.05 / site


def _edges(slots: pd.DataFrame) -> list[int]:
    stages = slots["stage"].astype(str).tolist()
    return [0, *(i for i in range(1, len(stages)) if stages[i] != stages[i - 1]), len(stages)]


def _names(slots: pd.DataFrame) -> list[str]:
    """Return distinct names of the sites; a long name is shortened before its end."""
    sites = slots["site"].astype(str)
    repeated = sites.duplicated(keep=False)
    tails = [f" ({where})" if twice else "" for where, twice in zip(slots["where"], repeated, strict=True)]
    bare = _bare(sites.tolist())
    full = [site + tail for site, tail in zip(bare, tails, strict=True)]
    for limit in range(LONGEST, max(map(len, full))):
        short = [
            canvas.shorten(site, limit - len(tail)) + tail for site, tail in zip(bare, tails, strict=True)
        ]
        if len(set(short)) == len(set(full)):
            return [canvas.plain(name) for name in short]
    return [canvas.plain(name) for name in full]


def _bare(sites: list[str]) -> list[str]:
    """Return the names without the modules that contain all sites; long ones also without their operation.

    >>> _bare(["net.stages.0.blocks.0.act3:leakyrelu", "net.stages.0:partial split", "net.stem:relu"])
    ['stages.0.blocks.0.act3', 'stages.0:partial split', 'stem:relu']
    """
    if len(set(sites)) < 2 or max(map(len, sites)) <= FITS:
        return sites
    paths = [site.partition(":")[0].split(".") for site in sites]
    shared = min(map(len, paths)) - 1
    while shared and len({tuple(path[:shared]) for path in paths}) > 1:
        shared -= 1
    while shared and any(path[shared].isdigit() for path in paths):
        shared -= 1  # a name does not begin with a number
    parts = [site.split(".", shared)[-1].partition(":") for site in sites]
    long = {name for path, _, name in parts if len(path) + 1 + len(name) > FITS and " " not in name}
    bare = [path if name in long else path + colon + name for path, colon, name in parts]
    return bare if len(set(bare)) == len(set(sites)) else ["".join(part) for part in parts]
