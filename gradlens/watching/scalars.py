"""The numbers of one backward pass as scalars with tags, for the logs of other libraries. No torch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

from gradlens.watching.rows import Row

ROOT = "gradlens"
SMALLEST = ("share", "coherence")
"""Quantities of which a stage has the smallest of its places."""


def scalars_of(rows: Iterable[Row], *, places: bool = False) -> Iterator[tuple[str, float]]:
    """Yield the tag and the value of each scalar; those of a second backward pass have ``backward 1`` in the tag.

    Args:
        rows: of one backward pass.
        places: whether to yield those of layers, forks and branches, too.
    """
    of_stage: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        root = f"{ROOT}/backward {row.backward}" if row.backward else ROOT
        tag = f"{root}/{row.stage}/{row.quantity}"
        if not row.place:
            yield tag, row.value
            continue
        of_stage[tag, row.quantity].append(row.value)
        if places:
            yield "/".join(filter(None, [tag, row.place, row.branch])), row.value
    for (tag, quantity), values in of_stage.items():
        if quantity in SMALLEST:
            yield tag, min(values)
        elif quantity == "dead":
            yield tag, sum(values)
        elif quantity == "rms" and any(value > 0 for value in values):
            logs = [math.log(value) for value in values if value > 0]
            yield tag, math.exp(sum(logs) / len(logs))
