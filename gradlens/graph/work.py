"""The work of a branch, and the labels of branches that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BranchWork:
    """What a branch computes between its fork and its merge.

    Attributes:
        weighted: number of weighted layers on the longest path.
        spatial: largest number of convolutions with a kernel larger than one position on a path.
    """

    weighted: int
    spatial: int


NAMES = {"residual": ("skip", "residual"), "parallel": ("bypass", "dense"), "gate": ("identity", "gate")}
"""Labels of the light and the heavy branch of a fork with two branches, by its kind."""


def part_labels(kind: str, work: Sequence[BranchWork]) -> tuple[str, ...]:
    """Return the labels of the parts of a split: *bypass* and *dense*, or numbers.

    Of three parts and more, the only one without layers is the bypass, if all others have spatial convolutions.
    """
    if kind != "parallel" or len(work) == 2:
        pair = pair_labels(kind, work) if kind == "parallel" else ()
        return pair or numbered_labels("part", len(work))
    idle = [index for index, branch in enumerate(work) if not branch.weighted]
    if len(idle) != 1 or sum(branch.spatial > 0 for branch in work) != len(work) - 1:
        return numbered_labels("part", len(work))
    dense = list(numbered_labels("dense", len(work) - 1))
    return (*dense[: idle[0]], "bypass", *dense[idle[0] :])


def pair_labels(kind: str, work: Sequence[BranchWork]) -> tuple[str, ...]:
    """Return the labels of two branches by the kind of their fork; empty if they cannot be told apart.

    The light branch has no spatial convolution or, if both are equal in that, fewer layers; a bypass never has any.
    """
    if kind not in NAMES or len(work) != 2:
        return ()
    first, second = ((branch.spatial > 0, branch.weighted) for branch in work)
    if first == second or (kind == "parallel" and min(first, second)[0]):
        return ()
    light, heavy = NAMES[kind]
    return (light, heavy) if first < second else (heavy, light)


def numbered_labels(word: str, count: int) -> tuple[str, ...]:
    """Return labels of branches that are not told apart."""
    return tuple(f"{word} {number}" for number in range(1, count + 1))
