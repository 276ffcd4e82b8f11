"""The order of stages in tables and figures, and the part of the network that each belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

HEAD, LOSS, WHOLE = LAST = ("head", "loss", "whole")
DIRECTIONS = ("top-down", "bottom-up")


class Part(IntEnum):
    """The part of a network that a stage belongs to, in the order of tables."""

    BACKBONE = 0
    NECK = 1
    HEAD = 2
    LOSS = 3
    WHOLE = 4


def part_of(stage: str) -> Part:
    """Return the part of a stage: the backbone, unless its name says another.

    >>> [part_of(stage).name for stage in ("16", "blocks.1", "neck 16 top-down", "head 8 box", "head", "loss", "whole")]
    ['BACKBONE', 'BACKBONE', 'NECK', 'HEAD', 'HEAD', 'LOSS', 'WHOLE']
    """
    if stage in LAST:
        return (Part.HEAD, Part.LOSS, Part.WHOLE)[LAST.index(stage)]
    part, _, rest = stage.partition(" ")
    if part == "neck" and rest.partition(" ")[2] in DIRECTIONS:
        return Part.NECK
    return Part.HEAD if part == "head" and rest else Part.BACKBONE


def in_order(names: Iterable[object]) -> list[str]:
    """Return distinct stages: the backbone, the neck, the heads by level, then head, loss and whole.

    Output strides ascend, in the neck for each direction alone; names of blocks keep their order.

    >>> in_order(["whole", "head", "head roi box", "head 8 box", "neck 8 top-down", "16", "8", "neck 16 bottom-up"])
    ['8', '16', 'neck 8 top-down', 'neck 16 bottom-up', 'head 8 box', 'head roi box', 'head', 'whole']
    >>> in_order(["blocks.1", "blocks.0", "16", "head"])
    ['16', 'blocks.1', 'blocks.0', 'head']
    """
    distinct = list(dict.fromkeys(map(str, names)))
    return sorted(distinct, key=_rank)


def _rank(stage: str) -> tuple[Part, int, float, bool]:
    """Return a key that is equal for all names of blocks, which sorting leaves in their order."""
    part, last = part_of(stage), float("inf")
    if part is Part.BACKBONE:
        return (part, 0, int(stage) if stage.isdigit() else last, False)
    stride, _, direction = stage.partition(" ")[2].partition(" ")
    turn = DIRECTIONS.index(direction) if part is Part.NECK else 0
    return (part, turn, int(stride) if stride.isdigit() else last, stage in LAST)
