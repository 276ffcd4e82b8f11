"""Fixed colours, markers and lines: one a transition strategy, one a place in the list of networks.

The palette is Okabe and Ito's (2008), which people with any colour vision tell apart; markers,
line styles and hatches say the same again for a reader in grey.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import matplotlib
import pandas as pd
from matplotlib.colors import to_hex

from gradlens.plots import order

AMONG = "networks"
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
INK = "#262626"  # text and axes
MUTED = "#6E6E6E"  # second-order text, references
PALE = "#D4D4D4"  # separators, missing values


@dataclass(frozen=True)
class Style:
    """How everything of one network is drawn."""

    colour: str
    marker: str
    line: str
    hatch: str = ""


STRATEGIES: dict[str, Style] = {
    "none": Style(BLACK, "o", "-"),
    "fusion_first": Style(ORANGE, "s", "--", "////"),
    "fusion_last": Style(SKY, "^", "-.", "...."),
    "csp": Style(GREEN, "D", "-", "xxxx"),
    "no_fusion": Style(PURPLE, "v", ":", "\\\\\\\\"),
}

POSITIONS: tuple[Style, ...] = (
    Style(BLUE, "o", "-"),
    Style(VERMILION, "s", "--", "////"),
    Style(GREEN, "^", "-.", "...."),
    Style(PURPLE, "D", ":", "xxxx"),
    Style(ORANGE, "v", "-", "\\\\\\\\"),
    Style(SKY, "P", "--", "----"),
    Style(BLACK, "X", "-.", "++++"),
)

BRANCHES: dict[str, str] = {
    "residual": GREEN,
    "skip": "#CFCFCF",
    "dense": "#9B4F82",  # purple, darker: it must stand against sky in grey too
    "bypass": SKY,
}
BRANCH_HATCHES: dict[str, str] = {"dense": "////", "bypass": ".."}
"""Residual and dense are alike in grey, and so nearly are skip and bypass."""


def styles(networks: Sequence[str]) -> dict[str, Style]:
    """The style of each network, by transition strategy where the names tell it, else by place.

    >>> styles(["densenet [csp]", "densenet [none]"])["densenet [csp]"] == STRATEGIES["csp"]
    True
    >>> styles(["resnet50", "cspresnet50"])["cspresnet50"] == POSITIONS[1]
    True
    """
    named = [_strategy(network) for network in networks]
    if None not in named:
        found: dict[str, Style] = {}
        for place, (network, name) in enumerate(zip(networks, named, strict=True)):
            before = named[:place].count(name)  # a sweep: the strategy's colour, another marker and line
            own = STRATEGIES[name or "none"]
            others = [look for look in POSITIONS if look.marker != own.marker and look.line != own.line]
            other = others[(before - 1) % len(others)]
            marks = {"marker": other.marker, "line": other.line, "hatch": other.hatch}
            found[network] = own if not before else replace(own, **marks)
        return found
    return {network: POSITIONS[i % len(POSITIONS)] for i, network in enumerate(networks)}


def styles_in(frame: pd.DataFrame) -> dict[str, Style]:
    """The style of each network of a frame.

    Where the frame holds some networks of a run only (``frame.attrs[AMONG]`` names all), each keeps the
    style that it has among all.
    """
    shown = order.networks(frame)
    among = styles([*dict.fromkeys([*frame.attrs.get(AMONG, ()), *shown])])
    return {network: among[network] for network in shown}


def branch_colours(branches: Sequence[str]) -> list[str]:
    """A colour a branch of one fork: fixed for the named ways, else light to dark in their order.

    >>> branch_colours(["residual", "skip"]) == [BRANCHES["residual"], BRANCHES["skip"]]
    True
    """
    if all(branch in BRANCHES for branch in branches):
        return [BRANCHES[branch] for branch in branches]
    scale = matplotlib.colormaps["cividis"]
    last = max(len(branches) - 1, 1)
    return [BRANCHES.get(branch, to_hex(scale(0.92 - 0.84 * i / last))) for i, branch in enumerate(branches)]


def _strategy(network: str) -> str | None:
    """The one strategy that stands as a word in a network's name."""
    found = {word for word in re.split(r"\W+", network) if word in STRATEGIES}
    return found.pop() if len(found) == 1 else None
