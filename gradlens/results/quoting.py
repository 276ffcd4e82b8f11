"""A number of a result as a sentence, with its interval and what it is based on."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradlens.catalogue import CORRECTED, Quantity, quantities_with, size_column
from gradlens.errors import GradlensError, close_matches
from gradlens.numbers import PAGE, format_number, format_p

QUOTED = ("comparison", "summary")
"""The tables with one row per stage that hold the main numbers of two networks, or of one."""
WHOLE = "whole"


def quote(
    tables: Mapping[str, pd.DataFrame], networks: Sequence[str], seeds: int, metric: str, stage: str
) -> str:
    """Return a sentence about one number.

    Args:
        tables: frames by name, of which one is named in ``QUOTED``.
        networks: names of the measured networks, one or two.
        seeds: number of seeds.
        metric: a column of the table, such as ``rarefied_duplication``.
        stage: a stage, or ``whole`` for the whole network.

    Raises:
        GradlensError: no such table, stage or quantity.
    """
    name = next((table for table in QUOTED if table in tables), None)
    if name is None:
        raise GradlensError(
            "a sentence is made for a result of one network or of two networks; take the numbers of this one "
            f"from its tables: {', '.join(tables)}"
        )
    rows = {str(row["stage"]): row for row in tables[name].to_dict("records")}
    entries = {entry.name: entry for entry in quantities_with(name)}
    row = rows[_checked(stage, "stage", list(rows))]
    entry = entries[_checked(metric, "quantity", list(entries))]
    return (
        f"{_subject(row, entry, stage)}: {_values(row, entry, name, networks)} ({_basis(row, entry, seeds)})"
    )


def _checked(name: str, kind: str, known: Sequence[str]) -> str:
    if name not in known:
        raise GradlensError(
            f"no {kind} {name!r}; there are {', '.join(known)}{close_matches(str(name), known)}"
        )
    return name


def _subject(row: Mapping[Hashable, Any], entry: Quantity, stage: str) -> str:
    size = row.get(size_column(entry.name), math.nan)
    signals = f" (m = {size:.0f})" if size > 0 else ""
    return f"{entry.title}{signals} {'of the whole network' if stage == WHOLE else f'in stage {stage}'}"


def _values(row: Mapping[Hashable, Any], entry: Quantity, table: str, networks: Sequence[str]) -> str:
    suffixes = ("",) if table == "summary" else ("_a", "_b")
    numbers = [row[entry.name + suffix] for suffix in suffixes]
    values = [
        "not defined" if math.isnan(number) else format_number(number, entry.format, PAGE)
        for number in numbers
    ]
    return " and ".join(
        f"{value} for {network}" for value, network in zip(values, networks[: len(values)], strict=True)
    )


def _basis(row: Mapping[Hashable, Any], entry: Quantity, seeds: int) -> str:
    """Return the difference with its interval and p, if there are any, and the number of seeds."""

    def part(ending: str, sign: bool) -> str:
        return format_number(row.get(entry.name + ending, math.nan), entry.format, PAGE, sign=sign)

    paired = not math.isnan(row.get(f"{entry.name}_difference", math.nan))
    parts = [f"paired difference {part('_difference', True)}"] if paired else []
    if not math.isnan(row.get(f"{entry.name}_low", math.nan)):
        parts.append(f"95 % interval {part('_low', paired)} to {part('_high', paired)}")
    p = row.get(entry.name + CORRECTED, math.nan)
    if not math.isnan(p):
        parts.append(f"p {format_p(p) if p < 0.001 else f'= {format_p(p)}'} after Holm's correction")
    return ", ".join([*parts, f"{seeds} seed{'s' * (seeds != 1)}"])
