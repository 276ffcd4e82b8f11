"""What a reader must know before the finding: an unfair comparison, a partial run, too few seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gradlens.catalogue import CLEAR, CORRECTED
from gradlens.results import Result
from gradlens.words.findings import UNFAIR
from gradlens.words.power import too_few_seeds

DIFFERENCES = ("comparison", "effects", "contrasts", "differences")
"""Tables of differences; the first that a result has is the one that its finding is about."""


class Doubt(NamedTuple):
    """A limit that stands in the heading.

    Attributes:
        mark: in two to four words.
        reason: why, and what to do.
    """

    mark: str
    reason: str


def doubts(result: Result) -> list[Doubt]:
    """Return what belongs in the heading: whatever forbids the finding, or is the whole reason for it.

    These are a run that was stopped, every warning that begins with "not a fair comparison", and seeds so few that no
    difference could hold after the correction, if none did.
    """
    return list(dict.fromkeys([*_partial(result), *_unfair(result), *_too_few_seeds(result)]))


def others(result: Result) -> list[str]:
    """Return the warnings that are not in the heading."""
    return [text for text in result.warnings if not text.lower().startswith(f"{UNFAIR.lower()}: ")]


def _partial(result: Result) -> Iterator[Doubt]:
    if result.provenance.partial:
        yield Doubt(
            "Partial result", "this run was stopped before its end; the numbers are from the finished part"
        )


def _unfair(result: Result) -> Iterator[Doubt]:
    for text in result.warnings:
        mark, _, reason = text.partition(": ")
        if mark.lower() == UNFAIR.lower():
            yield Doubt(UNFAIR, reason)


def _too_few_seeds(result: Result) -> Iterator[Doubt]:
    name = next((name for name in DIFFERENCES if name in result.tables), "")
    if not name:
        return
    frame = result.tables[name].frame
    pairs = len(frame[["a", "b"]].drop_duplicates()) if {"a", "b"} <= set(frame) else 1
    text = too_few_seeds(len(result.provenance.seeds), pairs)
    corrected = frame[[column for column in frame if str(column).endswith(CORRECTED.removeprefix("_"))]]
    if text and len(corrected.columns) and not (corrected < CLEAR).any(axis=None):
        yield Doubt("Too few seeds", text)
