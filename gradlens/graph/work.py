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


def part_labels(kind: str, work: Sequence[BranchWork]) -> tuple[str, ...]:
    """Return the labels of the parts of a split: *bypass* and *dense*, or numbers."""
    if kind == "parallel" and len(work) == 2:
        return _two(work, "bypass", "dense", "part")
    return tuple(f"part {number}" for number in range(1, len(work) + 1))


def fork_labels(kind: str, work: Sequence[BranchWork]) -> tuple[str, ...]:
    """Return the labels of the branches of a fork: by its kind if there are two, else numbers."""
    names = {
        "residual": ("skip", "residual"),
        "parallel": ("bypass", "dense"),
        "gate": ("identity", "gate"),
    }
    if kind in names and len(work) == 2:
        return _two(work, *names[kind], "branch")
    return tuple(f"branch {number}" for number in range(1, len(work) + 1))


def _two(work: Sequence[BranchWork], light: str, heavy: str, otherwise: str) -> tuple[str, str]:
    """Label two branches; the light one has no spatial convolution or, if both are equal in that, fewer layers."""
    first, second = ((branch.spatial > 0, branch.weighted) for branch in work)
    if first == second:
        return f"{otherwise} 1", f"{otherwise} 2"
    return (light, heavy) if first < second else (heavy, light)
