"""The first screen of the page: the finding, the picture that carries it, its numbers, and where to look."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from gradlens.catalogue import about
from gradlens.results import Result
from gradlens.words.brief import all_in_brief
from gradlens.words.conspicuous import Site, conspicuous, usual
from gradlens.words.doubts import doubts, others
from gradlens.words.findings import UNFAIR

LONG, LONGER = 140, 210
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
class Caution:
    """A warning of the first screen: in brief, and the same of each network in full."""

    brief: str
    full: tuple[str, ...]

    @property
    def longer(self) -> bool:
        """Whether the full text says more."""
        return [text.rstrip(".") for text in self.full] != [self.brief]


def heading(result: Result) -> Heading:
    """Return the finding as a heading, with what a reader must know first."""
    limits = doubts(result)
    marks = dict.fromkeys(limit.mark for limit in limits)
    text = result.headline.removeprefix(f"{UNFAIR}: " if UNFAIR in marks else "")
    if len(text) > LONG:  # of an older version, with its numbers in parentheses
        text = re.sub(r" \([^()]*\)", "", text)
    if not text.startswith(result.provenance.networks or ("\0",)):
        text = text[:1].upper() + text[1:]
    mark = "; ".join(mark if index == 0 else mark.lower() for index, mark in enumerate(marks))
    reasons = tuple(
        f"{limit.mark}: {limit.reason}" if len(marks) > 1 else f"{limit.reason[:1].upper()}{limit.reason[1:]}"
        for limit in limits
    )
    return Heading(text, mark, reasons)


def details(result: Result) -> str:
    """Return the finding in numbers: what the heading leaves out; empty if it is whole."""
    whole = result.headline.endswith(heading(result).text[1:])
    return result.details if whole else result.finding


def cautions(result: Result) -> list[Caution]:
    """Return the warnings that are not in the heading."""
    return [Caution(brief, tuple(texts)) for brief, texts in all_in_brief(others(result)).items()]


def leading(names: Iterable[str]) -> str:
    """Return the name of the figure that carries the finding, among those of the page; empty if it has none."""
    ranks = {name: about(name).leads for name in names}
    return min(filter(ranks.get, ranks), key=ranks.__getitem__, default="")


def places(result: Result) -> dict[str, list[Site]]:
    """Return the most conspicuous sites by network, as many as a command prints."""
    sites = conspicuous(result, usual(result))
    return {network: list(group) for network, group in groupby(sites, lambda site: site.network)}
