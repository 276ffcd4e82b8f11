"""The numbers of a stage in one backward pass, from those of its layers, forks and branches. No torch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from gradlens.catalogue.watched import Summary, watched
from gradlens.watching.rows import Row


def by_stage(rows: Iterable[Row]) -> dict[tuple[str, str], float]:
    """Return the number of each stage and quantity.

    A row without a place is one of a stage. Of the other rows, a stage has the summary that the catalogue names.

    Args:
        rows: of one backward pass.
    """
    numbers: dict[tuple[str, str], float] = {}
    places: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row.place:
            places[row.stage, row.quantity].append(row.value)
        else:
            numbers[row.stage, row.quantity] = row.value
    for (stage, quantity), values in places.items():
        entry = watched(quantity)
        if entry is not None and entry.summary:
            value = _SUMMARIES[entry.summary](values)
            if not math.isnan(value):
                numbers[stage, quantity] = value
    return numbers


def _geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of the positive values; NaN without one."""
    logs = [math.log(value) for value in values if value > 0]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


_SUMMARIES: Mapping[Summary, Callable[[Sequence[float]], float]] = {
    "smallest": min,
    "largest": max,
    "sum": sum,
    "geometric mean": _geometric_mean,
}
