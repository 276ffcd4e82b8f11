"""Building blocks of the specifications of interactive figures."""

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
    """A list to select one option from; the first option is the default.

    Attributes:
        name: name of the parameter.
        options: values of the parameter.
        title: label of the list; the name if empty.
        labels: labels of the options; the options themselves if empty.
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
    """Return a figure of the width of the page.

    Args:
        tables: the tables that it reads, by space.
        choices: parameters that a reader can select; the choice of a single network is left out.
        conditions: conditions on the rows that are shown.
        mirrored: whether rows are pairs that appear on both sides of a diagonal.
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
    """Return a choice of one option."""
    return Choice(name, tuple(options), title, tuple(labels))


def choose_version(frame: pd.DataFrame) -> Choice:
    """Return a choice of the versions of similarity in the frame."""
    versions = [name for name in TITLES if name in frame]
    return choose("version", versions, labels=[TITLES[name] for name in versions])


def choose_space(tables: Mapping[str, str]) -> list[Choice]:
    """Return a choice of the space if there are two, else nothing."""
    return (
        [choose("space", list(tables), labels=[SPACES[space] for space in tables])] if len(tables) > 1 else []
    )


def of_chosen_space(tables: Mapping[str, str]) -> list[str]:
    """Return the condition that a row belongs to the selected space, if there are two."""
    return ["datum.space === space"] if len(tables) > 1 else []


def line(field: str, title: str = "", form: str = "") -> Spec:
    """Return a line of the tooltip; ``form`` is a number format of d3."""
    spec: Spec = {"field": field, "title": title or field}
    return spec | ({"format": form, "type": "quantitative"} if form else {})


def network_colour(styles: Mapping[str, Style]) -> Spec:
    """Return one colour per network, the same as in the static figures except for black."""
    colours = [GREY if style.colour == BLACK else style.colour for style in styles.values()]
    return {
        "field": "network", "type": "nominal", "sort": list(styles), "title": None,
        "scale": {"domain": list(styles), "range": colours}, "legend": {"orient": "top"},
    }  # fmt: skip


def points(size: int, encoding: Spec, styles: Mapping[str, Style], tooltip: Sequence[Spec]) -> Spec:
    """Return a layer of filled marks with a tooltip, with the shapes of the static figures."""
    shape = {
        "field": "network", "type": "nominal", "title": None, "legend": {"orient": "top"},
        "scale": {"domain": list(styles), "range": [SHAPES[style.marker] for style in styles.values()]},
    }  # fmt: skip
    return {
        "mark": {"type": "point", "filled": True, "size": size, "opacity": 1},
        "encoding": {**encoding, "shape": shape, "tooltip": list(tooltip)},
    }
