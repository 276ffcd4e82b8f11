"""The one table that a command prints: duplication, the same given the loss, differences with intervals, and cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradlens.catalogue import COUNTERPARTS, HEADLINES, Quantity, quantities_with
from gradlens.numbers import DASH

from .cells import difference_cell, number, text, value_cell
from .layout import WHOLE, Block, Row
from .summary import (
    COMPARISON,
    EFFECTS,
    PATHS,
    SIDE_BY_SIDE,
    STRUCTURE,
    SUMMARY,
    effects,
    present,
    records_of,
    single,
    size,
    size_head,
)

if TYPE_CHECKING:
    from gradlens.results import Result
    from gradlens.words.wording import Verdict

HALF = "±: half of the 95 % interval"
HOLDS = "*: holds after Holm's correction, also for mean similarity"
TOTAL = ": total"
"""Ending of the rows of effects that compare a strategy with the unchanged network."""


@dataclass(frozen=True)
class Brief:
    """The table of a result.

    Attributes:
        block: its rows.
        legend: what its signs mean; empty if it has none.
    """

    block: Block
    legend: str = ""


def brief(result: Result) -> Brief | None:
    """Return the table of a result; None if the result has no numbers by stage or network."""
    if COMPARISON in result.tables:
        return _compared(result)
    if EFFECTS in result.tables:
        return _effects(result)
    for name in SIDE_BY_SIDE:
        if name in result.tables:
            return _side_by_side(result, name)
    if PATHS in result.tables and SUMMARY not in result.tables:
        return Brief(_by_stage(records_of(result, STRUCTURE), _chosen(STRUCTURE, "paths"), "paths"))
    if SUMMARY in result.tables:
        block = _by_stage(records_of(result, SUMMARY), _chosen(SUMMARY, "inspect", "compare"), "compare")
        return Brief(block, HALF if "±" in str(block.rows) else "")
    return None


def _chosen(table: str, screen: str, order: str = "") -> list[Quantity]:
    """Return the quantities of the one table of a screen, in the order of that screen or of another one."""
    return [entry for entry in quantities_with(table, order or screen) if screen in entry.brief]


def _by_stage(records: Sequence[Row], quantities: Sequence[Quantity], screen: str) -> Block:
    return single(list(_filled(records, present(quantities, records))), quantities, screen)


def _filled(
    records: Sequence[Row], quantities: Sequence[Quantity], suffixes: Sequence[str] = ("",)
) -> Iterator[Row]:
    """Yield the rows with a measured value: a stage of which only the cost is known is not printed, the whole is."""
    measured = [entry for entry in quantities if not entry.fixed] or quantities
    for row in records:
        values = [number(row.get(f"{entry.name}{suffix}")) for entry in measured for suffix in suffixes]
        if row["stage"] == WHOLE or not all(map(math.isnan, values)):
            yield row


def _compared(result: Result) -> Brief:
    """Return the table of two networks, one row per stage."""
    records = records_of(result, COMPARISON)
    quantities = present(_chosen(COMPARISON, "compare"), records, "_a")
    rows = [
        [str(row["stage"]), *size(row, records, quantities), *(_pair(row, entry) for entry in quantities)]
        for row in _filled(records, quantities, ("_a", "_b"))
    ]
    networks = " | ".join(result.provenance.networks)
    headers = ["stage", *size_head(records, quantities), *(entry.heading("compare") for entry in quantities)]
    block = Block(headers, rows)
    return Brief(block, f"{networks}  difference; {HALF}\n{HOLDS}")


def _pair(row: Row, quantity: Quantity) -> str:
    """Return both values, and the difference of a measured quantity."""
    a, b, difference, low, high = (
        number(row.get(f"{quantity.name}_{part}")) for part in ("a", "b", "difference", "low", "high")
    )
    if math.isnan(a) and math.isnan(b):
        return DASH
    values = f"{text(a, quantity)} | {text(b, quantity)}"
    if quantity.fixed or math.isnan(difference):
        return values
    return f"{values}  {difference_cell(difference, low, high, quantity, _holds(row, quantity))}"


def _holds(row: Row, quantity: Quantity) -> bool:
    """Whether a difference in a stage holds for the rarefied duplication and for the mean similarity."""
    from gradlens.words.wording import verdict_of

    other = COUNTERPARTS.get(quantity.name, "")
    if f"{other}_difference" not in row:
        return False
    return verdict_of({name: value for name, value in row.items() if name != "stage"}, quantity.name).clear


def _side_by_side(result: Result, name: str) -> Brief:
    """Return the table of several networks, one row each, with its differences from the first."""
    heading, differences = SIDE_BY_SIDE[name]
    records = [row for row in records_of(result, name) if row["stage"] == WHOLE]
    quantities = present(_chosen(name, "strategies"), records)
    networks = [str(row["network"]) for row in records]
    heading += "".join(f" (m = {m})" for m in size(records[0], records, quantities))
    headers, columns = [heading], [networks]
    for entry in quantities:
        headers.append(entry.heading("strategies"))
        columns.append([value_cell(row, entry) for row in records])
        if entry.name in COUNTERPARTS:
            against = _against(result, differences, entry, networks[0])
            headers.append("difference")
            columns.append([against.get(network, "") for network in networks])
    block = Block(headers, [list(row) for row in zip(*columns, strict=True)])
    legend = f"difference from {networks[0]}; {HALF}\n{HOLDS}" if len(networks) > 1 else HALF
    return Brief(block, legend)


def _against(result: Result, table: str, quantity: Quantity, reference: str) -> dict[str, str]:
    """Return the difference of each network from the reference as text."""
    from gradlens.words.wording import verdicts_of

    cells = {}
    for (a, b), verdict in verdicts_of(result.tables[table].frame, quantity.name).items():
        if a == reference:
            cells[b] = _difference(verdict, quantity)
    return cells


def _difference(verdict: Verdict, quantity: Quantity) -> str:
    contrast = verdict.duplication
    return difference_cell(contrast.difference, contrast.low, contrast.high, quantity, verdict.clear)


def _effects(result: Result) -> Brief:
    """Return the table of the effects of strategies, below the values of the unchanged network, with their cost."""
    block = effects(result)
    whole = {row["network"]: row for row in records_of(result, "strategies") if row["stage"] == WHOLE}
    pairs = {
        f"{row['strategy']}: {row['effect']}": (row["a"], row["b"]) for row in records_of(result, EFFECTS)
    }
    flops = next(entry for entry in _chosen("strategies", "strategies") if entry.cost)
    rows = [[*row, _added(whole, pairs[row[0]], flops)] for row in block.rows]
    metrics = [entry for entry in quantities_with("strategies", tested=True) if entry.name in HEADLINES]
    baseline = next((a for name, (a, _) in pairs.items() if name.endswith(TOTAL)), None)
    if baseline in whole:
        values = [value_cell(whole[baseline], entry) for entry in (*metrics, flops)]
        rows.insert(0, [f"{baseline}: value", *values])
    return Brief(
        Block([*block.headers, flops.heading("strategies")], rows), f"effects are differences; {HALF}"
    )


def _added(whole: Mapping[str, Row], pair: tuple[str, str], quantity: Quantity) -> str:
    """Return the difference of a cost between two networks."""
    a, b = (number(whole[name].get(quantity.name)) for name in pair)
    return text(b - a, quantity, sign=True)
