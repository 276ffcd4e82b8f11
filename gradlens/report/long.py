"""The tables of all numbers with a row per quantity, for the page: as columns they are ten thousand pixels wide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from gradlens.catalogue import CORRECTED, OF_PAIR, kind, quantities_with, size_column
from gradlens.results import Table

LONG = ("comparison", "summary", "networks", "strategies")
"""Tables with a row per stage, or per network and stage, and several columns for each quantity."""
KEYS = ("network", "stage")
PAIR = {ending: ending.removeprefix("_") for ending in (*OF_PAIR, CORRECTED)}
ALONE = {"": "value", "_low": "low", "_high": "high"}


def in_rows(table: Table, networks: tuple[str, ...] = ()) -> Table:
    """Return a table of all numbers with one row per stage and quantity; other tables unchanged.

    Args:
        table: with a column per quantity, and those of its interval or of its two networks.
        networks: names of ``a`` and ``b``.
    """
    if kind(table.name) not in LONG or table.frame.empty:
        return table
    paired = any(str(name).endswith(OF_PAIR[0]) for name in table.frame)
    endings = PAIR if paired else ALONE
    rows = [
        row for record in table.frame.to_dict("records") for row in _rows(record, kind(table.name), endings)
    ]
    units = dict(zip(("a", "b"), networks, strict=False)) if paired else {}
    kept = pd.DataFrame(rows, columns=[*KEYS, "quantity", "m", *endings.values()])
    kept = kept.drop(columns=[name for name in ("network", "m") if kept[name].isna().all()])
    return replace(table, frame=kept, units=units)


def _rows(record: Mapping[Any, Any], name: str, endings: Mapping[str, str]) -> Iterator[dict[str, object]]:
    """Yield the quantities of a row that have a value."""
    for quantity in quantities_with(name):
        values = {title: record.get(quantity.name + ending) for ending, title in endings.items()}
        if all(pd.isna(value) for value in values.values()):
            continue
        m = record.get(size_column(quantity.name))
        named = {key: record.get(key) for key in KEYS} | {"quantity": quantity.title}
        yield {**named, "m": m, **values}
