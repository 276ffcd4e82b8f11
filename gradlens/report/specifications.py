"""The parts that the specifications of the interactive figures are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradlens.plots.colours import styles
from gradlens.plots.spaces import SPACES

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
VERSIONS = {
    "energy": "energy",
    "direction": "direction",
    "energy_given_loss": "energy, given the loss",
    "direction_given_loss": "direction, given the loss",
}
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "stroke")


def specification(
    tables: Mapping[str, str],
    params: list[Spec],
    kept: Sequence[str],
    *,
    mirrored: bool = False,
    renderer: str = "svg",
    transform: Sequence[Spec] = (),
    **rest: Any,
) -> Spec:
    """A figure of the page's width.

    Args:
        tables: by space, the table it reads.
        params: what can be chosen.
        kept: conditions on the rows that are shown.
        mirrored: rows are pairs that stand on both sides of a diagonal.
        renderer: ``svg``, or ``canvas`` for many marks.
        transform: steps after the conditions.
        **rest: marks, encodings, height.
    """
    return {
        "$schema": SCHEMA,
        "usermeta": {"tables": list(tables.items()), "mirrored": mirrored, "renderer": renderer},
        "width": "container",
        "autosize": {"type": "fit", "contains": "padding", "resize": True},
        "params": [
            param for param in params if len(param["bind"]["options"]) > 1 or param["name"] != "network"
        ],
        "transform": [{"filter": condition} for condition in _needed(kept, params)] + list(transform),
        **rest,
    }


def _needed(kept: Sequence[str], params: Sequence[Spec]) -> list[str]:
    """Conditions without the one on a network where there is but one."""
    single = any(param["name"] == "network" and len(param["bind"]["options"]) < 2 for param in params)
    return [condition for condition in kept if not (single and condition == "datum.network === network")]


def choose(name: str, options: Sequence[str], title: str = "", labels: Sequence[str] = ()) -> Spec:
    """A list to choose one of; the first is chosen at the start."""
    bind: Spec = {"input": "select", "options": list(options), "name": f"{title or name} "}
    if labels:
        bind["labels"] = list(labels)
    return {"name": name, "value": options[0], "bind": bind}


def choose_version(frame: pd.DataFrame) -> Spec:
    """A choice of the similarities that the frame has."""
    known = [name for name in VERSIONS if name in frame]
    return choose("version", known, labels=[VERSIONS[name] for name in known])


def choose_space(tables: Mapping[str, str]) -> list[Spec]:
    """A choice of the space, where there are two."""
    own = list(tables)
    return [choose("space", own, labels=[SPACES[space] for space in own])] if len(own) > 1 else []


def of_chosen_space(tables: Mapping[str, str]) -> list[str]:
    """The condition that a row is of the chosen space."""
    return ["datum.space === space"] if len(tables) > 1 else []


def line(field: str, title: str = "", form: str = "") -> Spec:
    """A line of what the pointer reads; ``form`` is a number format of d3."""
    return {"field": field, "title": title or field} | (
        {"format": form, "type": "quantitative"} if form else {}
    )


def network_colour(networks: Sequence[str]) -> Spec:
    """One colour a network, that of the static figures where it can be seen on light and dark."""
    looks = styles(networks)
    colours = [looks[network].colour for network in networks]
    colours = ["#888888" if colour == "#000000" else colour for colour in colours]  # seen on light and dark
    return {
        "field": "network", "type": "nominal", "sort": list(networks), "title": None,
        "scale": {"domain": list(networks), "range": colours}, "legend": {"orient": "top"},
    }  # fmt: skip


def network_shape(networks: Sequence[str]) -> Spec:
    """One shape a network."""
    shapes = [SHAPES[place % len(SHAPES)] for place in range(len(networks))]
    return {
        "field": "network", "type": "nominal", "title": None,
        "scale": {"domain": list(networks), "range": shapes}, "legend": {"orient": "top"},
    }  # fmt: skip
