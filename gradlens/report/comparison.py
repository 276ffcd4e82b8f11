"""The comparison and the summary for the page, as rows of text, one block per quantity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from gradlens.catalogue import CLEAR, CORRECTED, Quantity, quantities_with, size_column
from gradlens.graph.stage_order import in_order
from gradlens.numbers import PAGE, format_number, percent
from gradlens.plots import order
from gradlens.results import Result

SIDE_BY_SIDE = ("strategies", "networks")
"""Tables with a row per network and stage."""
SCREENS = (
    *((name, "strategies") for name in SIDE_BY_SIDE),
    ("comparison", "compare"),
    ("summary", "inspect"),
    ("structure", "paths"),
)
"""Tables with the main numbers, and the screen of the command that makes them; a result has one of them."""


@dataclass(frozen=True)
class Row:
    """A row of text: a label, one cell per network, and the difference if two networks are compared.

    ``half`` is half of the interval of the difference, and ``within`` that of each cell, such as ``± 0.010``; empty
    if there is none. ``clear`` is true if the interval of the difference excludes 0 and its p is below 0.05 after the
    correction over the table.
    """

    label: str
    cells: tuple[str, ...]
    difference: str = ""
    interval: str = ""
    half: str = ""
    clear: bool = False
    within: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overview:
    """The main numbers of the compared networks, over the whole network and by stage.

    ``paired`` is false for networks side by side, whose rows have no differences.
    """

    networks: tuple[str, ...]
    whole: tuple[Row, ...]
    stages: dict[str, tuple[Row, ...]]
    paired: bool = True


def overview(result: Result) -> Overview | None:
    """Return the comparison (two networks), the networks (more) or the summary (one) as text, or None."""
    for name, _ in SCREENS[:-1]:
        if name in result.tables and not result.tables[name].frame.empty:
            return _overview(result, name, quantities_with(name))
    return None


def essentials(result: Result) -> Overview | None:
    """Return the quantities that the screen of a command shows, over the whole network, with short labels; or None."""
    for name, screen in SCREENS:
        if name in result.tables and not result.tables[name].frame.empty:
            chosen = [entry for entry in quantities_with(name) if screen in entry.brief]
            return _overview(result, name, [replace(entry, title=entry.head) for entry in chosen])
    return None


def _overview(result: Result, name: str, quantities: Sequence[Quantity]) -> Overview:
    frame = result.tables[name].frame
    if name in SIDE_BY_SIDE:
        return _side_by_side(frame, quantities)
    keys = ("a", "b") if name == "comparison" else ("a",)
    names = result.provenance.networks
    networks = (*names, *(key.upper() for key in keys[len(names) :]))[: len(keys)]
    suffixes = tuple(f"_{key}" for key in keys) if name == "comparison" else ("",)
    return _by_stage(frame, quantities, networks, suffixes)


def _by_stage(
    frame: pd.DataFrame, quantities: Sequence[Quantity], networks: tuple[str, ...], suffixes: tuple[str, ...]
) -> Overview:
    """Return the overview of one network, or of two and their difference."""
    stages = in_order(frame["stage"])
    rows = {str(row["stage"]): row for _, row in frame.iterrows()}
    columns = [quantity for quantity in quantities if quantity.name + suffixes[0] in frame]
    whole = [_row(quantity.title, rows[stages[-1]], quantity, suffixes) for quantity in columns]
    by_stage = {
        quantity.title: tuple(_row(stage, rows[stage], quantity, suffixes) for stage in stages)
        for quantity in columns
    }
    return Overview(networks, tuple(whole), by_stage)


def _side_by_side(frame: pd.DataFrame, quantities: Sequence[Quantity]) -> Overview:
    """Return the overview of networks or strategies side by side; their differences are in another table."""
    networks = tuple(order.networks(frame))
    stages = in_order(frame["stage"])
    cells = {(str(row["stage"]), str(row["network"])): row for _, row in frame.iterrows()}
    columns = [quantity for quantity in quantities if quantity.name in frame]

    def line(label: str, stage: str, quantity: Quantity) -> Row:
        rows = [cells.get((stage, network), pd.Series(dtype=float)) for network in networks]
        values = tuple(_text(row.get(quantity.name, math.nan), quantity) for row in rows)
        sizes = pd.DataFrame(rows).get(size_column(quantity.name), pd.Series(dtype=float)).dropna()
        label += _over_m(sizes.iloc[0]) if len(sizes) else ""
        return Row(label, values, within=tuple(_within(row, quantity) for row in rows))

    whole = tuple(line(quantity.title, stages[-1], quantity) for quantity in columns)
    by_stage = {
        quantity.title: tuple(line(stage, stage, quantity) for stage in stages)
        for quantity in columns
        if quantity.by_stage
    }
    return Overview(networks, whole, by_stage, paired=False)


def _row(label: str, values: pd.Series, quantity: Quantity, suffixes: tuple[str, ...]) -> Row:
    cells = tuple(_text(values[quantity.name + suffix], quantity) for suffix in suffixes)
    label += _over_m(values.get(size_column(quantity.name), math.nan))
    if len(suffixes) < 2:
        return Row(label, cells, within=(_within(values, quantity),))
    change, low, high = (
        float(values.get(f"{quantity.name}_{part}", math.nan)) for part in ("difference", "low", "high")
    )
    text = _text(change, quantity, sign=True)
    reference = float(values[quantity.name + suffixes[0]])
    if quantity.relative and reference > 0 and math.isfinite(change):
        text += f" ({percent(change / reference, sign=True)})"
    if not (math.isfinite(low) and math.isfinite(high)):
        return Row(label, cells, text)
    span = f"{_text(low, quantity, sign=True)} to {_text(high, quantity, sign=True)}"
    p = float(values.get(f"{quantity.name}{CORRECTED}", math.nan))
    half = f"± {_text((high - low) / 2, quantity)}"
    return Row(label, cells, text, span, half, clear=(low > 0 or high < 0) and not p >= CLEAR)


def _over_m(m: float) -> str:
    """Return the number of signals of a rarefied duplication as a remark; empty if it has none."""
    return f" (m = {m:.0f})" if m > 0 else ""


def _within(values: pd.Series, quantity: Quantity) -> str:
    """Return the half-width of the interval of one network's value as text; empty if there is none."""
    low, high = (float(values.get(f"{quantity.name}_{end}", math.nan)) for end in ("low", "high"))
    return f"± {_text((high - low) / 2, quantity)}" if low < high else ""


def _text(value: float, quantity: Quantity, *, sign: bool = False) -> str:
    return format_number(float(value), quantity.format, PAGE, sign=sign)
