"""The first screen of the page: the finding, the picture that carries it, its numbers, and where to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from gradlens.results import Result
from gradlens.showing.embedding import Json
from gradlens.words.brief import in_brief
from gradlens.words.conspicuous import Site, conspicuous, usual
from gradlens.words.doubts import doubts, others
from gradlens.words.findings import UNFAIR

LEADING = (
    "effects", "contrasts", "differences", "trajectory", "duplication", "paths", "structure", "flow",
)  # fmt: skip
"""Tables whose figure carries the finding: the first that the result has."""
LONG, LONGER = 160, 240
"""Characters of a heading from which on it is set in smaller letters, so that it keeps to two lines."""


@dataclass(frozen=True)
class Heading:
    """The heading of the page.

    Attributes:
        text: the finding in one sentence.
        mark: what a reader must know first, such as "Not a fair comparison"; empty if nothing is in doubt.
        reasons: of the mark, one sentence each.
    """

    text: str
    mark: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def size(self) -> str:
        """The class of the heading, by its length."""
        length = len(self.text) + len(self.mark)
        return "longer" if length > LONGER else "long" if length > LONG else "short"


@dataclass(frozen=True)
class Place:
    """A row of "where to look".

    Attributes:
        site: what to look at.
        target: what the map is to show, as ``{"signals": [...], "site": ...}``; None if the map does not have it.
    """

    site: Site
    target: Json | None


@dataclass(frozen=True)
class Caution:
    """A warning of the first screen: in brief, and in full."""

    brief: str
    full: str

    @property
    def longer(self) -> bool:
        """Whether the full text says more."""
        return self.full.rstrip(".") != self.brief


def heading(result: Result) -> Heading:
    """Return the finding as a heading, with what a reader must know first."""
    limits = doubts(result)
    text = result.headline.removeprefix(f"{UNFAIR}: ")
    if not text.startswith(result.provenance.networks or ("\0",)):
        text = text[:1].upper() + text[1:]
    marks = dict.fromkeys(limit.mark for limit in limits)
    mark = "; ".join(mark if index == 0 else mark.lower() for index, mark in enumerate(marks))
    reasons = tuple(
        f"{limit.mark}: {limit.reason}" if len(marks) > 1 else f"{limit.reason[:1].upper()}{limit.reason[1:]}"
        for limit in limits
    )
    return Heading(text, mark, reasons)


def cautions(result: Result) -> list[Caution]:
    """Return the warnings that are not in the heading."""
    return [Caution(in_brief(text), text) for text in others(result)]


def leading(names: Iterable[str]) -> str:
    """Return the name of the figure that carries the finding, among those of the page; empty if it has none."""
    present = list(names)
    return next((name for name in LEADING if name in present), "")


def places(result: Result) -> dict[str, list[Place]]:
    """Return the most conspicuous sites by network, each with what to show on the map."""
    nodes = _nodes(result)
    sites = conspicuous(result, usual(result))
    return {
        network: [Place(site, _target(site, nodes.get(network, []))) for site in group]
        for network, group in groupby(sites, lambda site: site.network)
    }


def _nodes(result: Result) -> dict[str, list[Mapping[str, str]]]:
    """Return the operations of the map by network; empty if there is no map."""
    if not {"map_nodes", "map_edges"} <= set(result.tables):
        return {}
    frame = result.tables["map_nodes"].frame[["network", "site", "signal", "fork"]].fillna("").astype(str)
    return {str(name): rows.to_dict("records") for name, rows in frame.groupby("network", sort=False)}


def _target(site: Site, nodes: Sequence[Mapping[str, str]]) -> Json | None:
    """Return the layers, or the operation that makes the tensor of the fork; None if the map lacks one of them."""
    if site.fork:
        node = next((node for node in nodes if site.fork in node["fork"].split("; ")), None)
        return node and {"signals": [node["signal"]] if node["signal"] else [], "site": node["site"]}
    by_signal = {node["signal"]: node["site"] for node in nodes}
    if not site.layers or not set(site.layers) <= set(by_signal):
        return None
    return {"signals": list(site.layers), "site": by_signal[site.layers[0]]}
