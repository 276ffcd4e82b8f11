"""The order of stages in tables and figures."""

from __future__ import annotations

from collections.abc import Iterable

LAST = ("head", "loss", "whole")
DIRECTIONS = ("top-down", "bottom-up")


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


def _rank(name: str) -> tuple[int, int, float]:
    """Return a key that is equal for all names of blocks, which sorting leaves in their order."""
    if name in LAST:
        return (4 + LAST.index(name), 0, 0)
    if name.isdigit():
        return (0, 0, int(name))
    part, _, rest = name.partition(" ")
    stride, _, kind = rest.partition(" ")
    level = int(stride) if stride.isdigit() else float("inf")
    if part == "neck" and kind in DIRECTIONS:
        return (2, DIRECTIONS.index(kind), level)
    return (3, 0, level) if part == "head" and rest else (1, 0, 0)
