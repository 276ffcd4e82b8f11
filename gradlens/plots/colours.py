"""Fixed colours, markers and lines: one style per transition strategy, one per position in a list of networks.

The palette is Okabe and Ito's (2008), which is safe for colour-blind readers; markers,
line styles and hatches distinguish the networks in grey, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import matplotlib
import pandas as pd
from matplotlib.colors import to_hex

from gradlens.catalogue import transitions
from gradlens.catalogue.losses import LOSSES_OF
from gradlens.plots import order

AMONG = "networks"
"""Key of the names of all networks of a run in the attributes of its frames."""
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
INK = "#262626"  # text and axes
MUTED = "#6E6E6E"  # secondary text, references
PALE = "#D4D4D4"  # separators, missing values


@dataclass(frozen=True)
class Style:
    """Colour, marker, line style and hatch of one network."""

    colour: str
    marker: str
    line: str
    hatch: str = ""


STRATEGIES: dict[str, Style] = {
    strategy.name: Style(strategy.colour, strategy.marker, strategy.line, strategy.hatch)
    for strategy in transitions.STRATEGIES.values()
    if strategy.colour
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

LOSSES: tuple[Style, ...] = (
    Style(GREEN, "o", "-"),
    Style(ORANGE, "s", "--"),
    Style(PURPLE, "^", "-."),
    Style(SKY, "D", ":"),
    Style(BLUE, "v", "-"),
    Style(VERMILION, "P", "--"),
    Style(MUTED, "X", "-."),
)
"""Styles of losses by their order in the run: the first colours differ from those of the first two networks."""

BRANCHES: dict[str, str] = {
    "residual": GREEN,
    "skip": "#CFCFCF",
    "dense": "#9B4F82",  # purple, darker: it must differ from sky in grey too
    "bypass": SKY,
}
BRANCH_HATCHES: dict[str, str] = {"dense": "////", "bypass": ".."}
"""Needed because residual and dense, and skip and bypass, look almost the same in grey."""


def styles(networks: Sequence[str], strategies: Mapping[str, str] = MappingProxyType({})) -> dict[str, Style]:
    """Return the style of each network: by transition strategy if all have one, else by position.

    Args:
        networks: display names.
        strategies: strategies by display name; one that is missing here is read from the name.

    >>> styles(["densenet121@csp", "densenet121@none"])["densenet121@csp"] == STRATEGIES["csp"]
    True
    >>> styles(["resnet50", "cspresnet50"])["cspresnet50"] == POSITIONS[1]
    True
    >>> styles(["none", "mine"])["none"] == STRATEGIES["none"]
    True
    """
    known = strategies_of(networks, strategies)
    if not all(known.values()):
        return {network: POSITIONS[i % len(POSITIONS)] for i, network in enumerate(networks)}
    fixed = _strategy_styles(known.values())
    drawn: dict[str, Style] = {}
    seen: Counter[str] = Counter()
    for network, strategy in known.items():
        drawn[network] = _variation(fixed[strategy], seen[strategy])
        seen[strategy] += 1
    return drawn


def styles_in(frame: pd.DataFrame) -> dict[str, Style]:
    """Return the style of each network of a frame.

    If the frame holds only some networks of a run (``frame.attrs[AMONG]`` names all), each keeps the
    style that it has in the whole run. ``frame.attrs[STRATEGY_OF]`` holds the strategies that the run knows.
    """
    networks = order.networks(frame)
    all_networks = list(dict.fromkeys([*frame.attrs.get(AMONG, ()), *networks]))
    by_network = styles(all_networks, frame.attrs.get(transitions.STRATEGY_OF, {}))
    return {network: by_network[network] for network in networks}


def loss_styles(frame: pd.DataFrame) -> dict[str, Style]:
    """Return the style of each loss of a frame with a column ``loss``, or ``loss_a`` and ``loss_b``.

    A loss has the same style in all figures of a run: ``frame.attrs[LOSSES_OF]`` names all its losses in their order.

    >>> drawn = loss_styles(pd.DataFrame({"loss": ["cls", "box"]}))
    >>> drawn["cls"] == LOSSES[0], drawn["box"] == LOSSES[1]
    (True, True)
    """
    present = [str(name) for end in ("loss", "loss_a", "loss_b") if end in frame for name in frame[end]]
    names = list(dict.fromkeys([*frame.attrs.get(LOSSES_OF, ()), *present]))
    count = len(LOSSES)
    return {
        name: replace(LOSSES[i % count], marker=LOSSES[(i + i // count) % count].marker)
        for i, name in enumerate(names)
        if name in present
    }


def strategies_of(networks: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """Return the strategy of each network, empty if it has none.

    The strategy comes from ``known``, else from the model name (``resnet50@csp``), else from the first word of the
    label, as in saved runs of strategies (``csp γ=0.25``).

    >>> strategies_of(["none", "csp γ=0.25"], {}), strategies_of(["cspresnet50"], {})
    ({'none': 'none', 'csp γ=0.25': 'csp'}, {'cspresnet50': ''})
    """
    first_words = {network: re.split(r"[ ,/]", network)[0] for network in networks}
    labels = not transitions.STRATEGIES.keys().isdisjoint(first_words.values())
    return {
        network: known.get(network) or transitions.strategy_in(network) or (word if labels else "")
        for network, word in first_words.items()
    }


def branch_colours(branches: Sequence[str]) -> list[str]:
    """Return one colour per branch of a fork: fixed for the named branches, else light to dark in their order.

    >>> branch_colours(["residual", "skip"]) == [BRANCHES["residual"], BRANCHES["skip"]]
    True
    """
    if all(branch in BRANCHES for branch in branches):
        return [BRANCHES[branch] for branch in branches]
    scale = matplotlib.colormaps["cividis"]
    last = max(len(branches) - 1, 1)
    return [BRANCHES.get(branch, to_hex(scale(0.92 - 0.84 * i / last))) for i, branch in enumerate(branches)]


def _strategy_styles(strategies: Iterable[str]) -> dict[str, Style]:
    """Return styles by strategy: its fixed style, or a colour and marks that no fixed style has."""
    others = [
        name for name in dict.fromkeys([*transitions.STRATEGIES, *strategies]) if name not in STRATEGIES
    ]
    colours = {style.colour for style in STRATEGIES.values()}
    markers = {style.marker for style in STRATEGIES.values()}
    free = [style.colour for style in POSITIONS if style.colour not in colours] or [MUTED]
    marks = [style for style in POSITIONS if style.marker not in markers] or list(POSITIONS)
    return STRATEGIES | {
        name: replace(marks[(i + i // len(free)) % len(marks)], colour=free[i % len(free)])
        for i, name in enumerate(others)
    }


def _variation(style: Style, number: int) -> Style:
    """Return the same colour with another marker and line for each further network of a strategy in a sweep."""
    if not number:
        return style
    others = [other for other in POSITIONS if other.marker != style.marker and other.line != style.line]
    return replace(others[(number - 1) % len(others)], colour=style.colour)
