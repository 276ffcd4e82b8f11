"""The parts of the specifications of interactive figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from gradlens.plots.colours import BLACK, Style
from gradlens.plots.correlation import TITLES
from gradlens.plots.spaces import SPACES

Spec = dict[str, object]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
GREY = "#888888"  # instead of black: visible on light and dark pages
SHAPES = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "P": "cross",
    "X": "stroke",
}
"""Vega's shape for each marker of the static figures."""


@dataclass(frozen=True)
class Choice:
    """A list to choose one option of; the first is chosen at the start.

    Attributes:
        name: of the parameter.
        options: its values.
        title: in front of the list; empty for the name.
        labels: texts of the options; empty for the options themselves.
    """

    name: str
    options: tuple[str, ...]
    title: str = ""
    labels: tuple[str, ...] = ()

    def param(self) -> Spec:
        """Return the parameter of a specification."""
        bind: Spec = {"input": "select", "options": list(self.options), "name": f"{self.title or self.name} "}
        if self.labels:
            bind["labels"] = list(self.labels)
        return {"name": self.name, "value": self.options[0], "bind": bind}


def specification(
    tables: Mapping[str, str],
    choices: Sequence[Choice],
    conditions: Sequence[str],
    *,
    mirrored: bool = False,
    renderer: str = "svg",
    transform: Sequence[Spec] = (),
    **rest: object,
) -> Spec:
    """A figure of the page's width.

    Args:
        tables: the tables that it reads, by space.
        choices: parameters that a reader can choose; a single network is no choice.
        conditions: conditions on the rows that are shown.
        mirrored: rows are pairs that appear on both sides of a diagonal.
        renderer: ``svg``, or ``canvas`` for many marks.
        transform: steps after the conditions.
        **rest: marks, encodings, height.
    """
    single = [choice for choice in choices if choice.name == "network" and len(choice.options) < 2]
    kept = [
        condition for condition in conditions if not (single and condition == "datum.network === network")
    ]
    return {
        "$schema": SCHEMA,
        "usermeta": {"tables": list(tables.items()), "mirrored": mirrored, "renderer": renderer},
        "width": "container",
        "autosize": {"type": "fit", "contains": "padding", "resize": True},
        "params": [choice.param() for choice in choices if choice not in single],
        "transform": [{"filter": condition} for condition in kept] + list(transform),
        **rest,
    }


def choose(name: str, options: Sequence[str], title: str = "", labels: Sequence[str] = ()) -> Choice:
    """A choice of one of the options."""
    return Choice(name, tuple(options), title, tuple(labels))


def choose_version(frame: pd.DataFrame) -> Choice:
    """A choice of the similarities that the frame has."""
    versions = [name for name in TITLES if name in frame]
    return choose("version", versions, labels=[TITLES[name] for name in versions])


def choose_space(tables: Mapping[str, str]) -> list[Choice]:
    """A choice of the space if there are two."""
    return (
        [choose("space", list(tables), labels=[SPACES[space] for space in tables])] if len(tables) > 1 else []
    )


def of_chosen_space(tables: Mapping[str, str]) -> list[str]:
    """The condition that a row belongs to the chosen space."""
    return ["datum.space === space"] if len(tables) > 1 else []


def line(field: str, title: str = "", form: str = "") -> Spec:
    """A line of the tooltip; ``form`` is a number format of d3."""
    spec: Spec = {"field": field, "title": title or field}
    return spec | ({"format": form, "type": "quantitative"} if form else {})


def network_colour(styles: Mapping[str, Style]) -> Spec:
    """One colour per network, the same as in the static figures except for black."""
    colours = [GREY if style.colour == BLACK else style.colour for style in styles.values()]
    return {
        "field": "network", "type": "nominal", "sort": list(styles), "title": None,
        "scale": {"domain": list(styles), "range": colours}, "legend": {"orient": "top"},
    }  # fmt: skip


def points(size: int, encoding: Spec, styles: Mapping[str, Style], tooltip: Sequence[Spec]) -> Spec:
    """A layer of filled marks with a tooltip, with the shapes of the static figures."""
    shape = {
        "field": "network", "type": "nominal", "title": None, "legend": {"orient": "top"},
        "scale": {"domain": list(styles), "range": [SHAPES[style.marker] for style in styles.values()]},
    }  # fmt: skip
    return {
        "mark": {"type": "point", "filled": True, "size": size, "opacity": 1},
        "encoding": {**encoding, "shape": shape, "tooltip": list(tooltip)},
    }
