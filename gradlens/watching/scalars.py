"""The numbers of one step as scalars with tags, for the logs of other libraries. No torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from gradlens.watching.rows import Row
from gradlens.watching.stages import by_stage

ROOT = "gradlens"


def scalars_of(rows: Iterable[Row], *, places: bool = False) -> Iterator[tuple[str, float]]:
    """Yield the tag and the value of each scalar; those of a second backward pass have ``backward 1`` in the tag.

    Args:
        rows: of one step.
        places: whether to yield those of layers, forks and branches, too.
    """
    passes: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        passes[row.backward].append(row)
    for backward, measured in passes.items():
        root = f"{ROOT}/backward {backward}" if backward else ROOT
        for (stage, quantity), value in by_stage(measured).items():
            yield f"{root}/{stage}/{quantity}", value
        for row in measured if places else ():
            if row.place:
                yield (
                    "/".join(filter(None, [root, row.stage, row.quantity, row.place, row.branch])),
                    row.value,
                )
