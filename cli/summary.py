"""The summary on stdout: the selected numbers as tables of text."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradlens.catalogue import CLEAR, HEADLINES, Quantity, quantities_with
from gradlens.numbers import DASH, TERMINAL, format_number, format_p

from .layout import Block, Row, print_blocks
from .terminal import say, width

if TYPE_CHECKING:
    from gradlens.results import Result

MOST_PAIRS = 15
"""Largest number of pairs of strategies that are all printed."""
COMPARISON, SUMMARY = "comparison", "summary"
SIDE_BY_SIDE = {"strategies": ("strategy", "differences"), "networks": ("network", "contrasts")}
"""Tables with one row per network and stage: the heading of the rows, and the table of differences."""
PATHS, STRUCTURE, EFFECTS = "paths", "structure", "effects"


def show(result: Result) -> None:
    """Print the summary table of a result and its finding; on a terminal also the units."""
    if result.provenance.partial:
        say("partial: the run was interrupted, and the numbers are from its finished part\n")
    if COMPARISON in result.tables:
        say(f"{' | '.join(result.provenance.networks)}  difference [95 % interval]\n")
    tables = blocks(result)
    print_blocks(tables)
    if width(sys.stdout) is not None and tables:
        say(f"units: {units(tables)}\n", indent="  ")
    say(result.finding)


def units(tables: Iterable[Block]) -> str:
    """Return the units of the columns of the tables, grouped by unit.

    >>> units([Block(["stage", "duplication", "FLOPs"], [])])
    'duplication: D_m, 0 unrelated to 1 copies; FLOPs: per image, multiply-add = 2'
    """
    present = {head for block in tables for head in block.headers}
    heads: dict[str, list[str]] = {}
    for quantity in quantities_with():
        for head in dict.fromkeys([quantity.head, *(quantity.heading(c.screen) for c in quantity.screens)]):
            if head in present and quantity.short_unit:
                heads.setdefault(quantity.short_unit, []).append(head)
    return "; ".join(f"{', '.join(named)}: {unit}" for unit, named in heads.items())


def blocks(result: Result) -> list[Block]:
    """Return the summary tables of a comparison, of several networks, of paths, or of one network."""
    if COMPARISON in result.tables:
        return _compared(_records(result, COMPARISON))
    for name in SIDE_BY_SIDE:
        if name in result.tables:
            return _side_by_side(result, name)
    if PATHS in result.tables and SUMMARY not in result.tables:
        return [_single(_records(result, STRUCTURE), quantities_with(STRUCTURE, "paths"), "paths")]
    if SUMMARY in result.tables:
        return [_single(_records(result, SUMMARY), quantities_with(SUMMARY, "compare"), "compare")]
    return []


def _records(result: Result, name: str) -> Sequence[Row]:
    return result.tables[name].frame.to_dict("records")


def _compared(records: Sequence[Row]) -> list[Block]:
    """Return the tables of two networks, one per block of quantities, each at most 120 columns wide."""
    by_block: dict[int, list[Quantity]] = {}
    for quantity in _present(quantities_with(COMPARISON, "compare"), records, "_a"):
        column = quantity.column("compare")
        by_block.setdefault(column.block if column else 0, []).append(quantity)
    return [
        Block(
            ["stage", *_size_head(records, block), *(quantity.heading("compare") for quantity in block)],
            [
                [
                    str(row["stage"]),
                    *_size(row, records, block),
                    *(compared_cell(row, quantity) for quantity in block),
                ]
                for row in records
            ],
        )
        for block in by_block.values()
    ]


def _size_head(records: Sequence[Row], block: Sequence[Quantity]) -> list[str]:
    """Return the heading of the column with the number of signals of the duplication, if the block has one."""
    return ["m"] if "m" in records[0] and any(quantity.version for quantity in block) else []


def _size(row: Row, records: Sequence[Row], block: Sequence[Quantity]) -> list[str]:
    return [format_number(_number(row["m"]), "count", TERMINAL) for _ in _size_head(records, block)]


def compared_cell(row: Row, quantity: Quantity) -> str:
    """Return the values of both networks, the difference and its interval as text.

    >>> parts = {"a": 0.79, "b": 0.68, "difference": -0.11, "low": -0.15, "high": -0.07}
    >>> (loss,) = (entry for entry in quantities_with("trajectory") if entry.name == "loss")
    >>> compared_cell({f"loss_{part}": value for part, value in parts.items()}, loss)
    '0.79 | 0.68  -0.11 [-0.15, -0.07]'
    """
    a, b, difference, low, high = (
        _number(row.get(f"{quantity.name}_{part}")) for part in ("a", "b", "difference", "low", "high")
    )
    if math.isnan(a) and math.isnan(b):
        return DASH
    text = f"{_text(a, quantity)} | {_text(b, quantity)}"
    if math.isnan(difference):
        return text
    text += f"  {_text(difference, quantity, sign=True)}"
    if math.isnan(low) or math.isnan(high) or low == high:
        return text
    return f"{text} [{_text(low, quantity, sign=True)}, {_text(high, quantity, sign=True)}]"


def _single(records: Sequence[Row], quantities: Sequence[Quantity], screen: str) -> Block:
    """Return the table of one network, one row per stage."""
    columns = _present(quantities, records)
    rows = [
        [
            str(row["stage"]),
            *_size(row, records, columns),
            *(_with_interval(row, quantity) for quantity in columns),
        ]
        for row in records
    ]
    return Block(
        ["stage", *_size_head(records, columns), *(quantity.heading(screen) for quantity in columns)], rows
    )


def _side_by_side(result: Result, name: str) -> list[Block]:
    """Return the tables of several networks, of their duplication by stage, and of their differences."""
    heading, differences = SIDE_BY_SIDE[name]
    records = _records(result, name)
    whole = [row for row in records if row["stage"] == "whole"]
    if "m" in whole[0]:
        heading += f" (D_m: m = {format_number(_number(whole[0]['m']), 'count', TERMINAL)})"
    columns = _present(quantities_with(name, "strategies"), records)
    rows = [[str(row["network"]), *(_with_interval(row, quantity) for quantity in columns)] for row in whole]
    first = Block([heading, *(quantity.heading("strategies") for quantity in columns)], rows)
    main = quantities_with(name, "strategies")[0]
    stages = list(dict.fromkeys(str(row["stage"]) for row in records))
    cells = {(row["network"], str(row["stage"])): row for row in records}

    def at(network: object, stage: str) -> str:
        return _text(_number(cells.get((network, stage), {}).get(main.name)), main)

    by_stage = [[str(row["network"]), *(at(row["network"], stage) for stage in stages)] for row in whole]
    return [
        *_effects(result),
        first,
        Block([main.head, *stages], by_stage),
        *_pairs(result, differences, main),
    ]


def _effects(result: Result) -> list[Block]:
    """Return the table of the effects of transitions and of the cut, or no table without controls."""
    if EFFECTS not in result.tables:
        return []
    metrics = [entry for entry in quantities_with(tested=True) if entry.name in HEADLINES]
    rows: dict[tuple[str, str], list[str]] = {}
    for metric in metrics:
        for row in _records(result, EFFECTS):
            if row["stage"] == "whole" and row["metric"] == metric.name:
                key = str(row["strategy"]), str(row["effect"])
                difference = _text(_number(row["difference"]), metric, sign=True)
                half = (_number(row["high"]) - _number(row["low"])) / 2
                mark = "*" if _number(row["p_holm"]) < CLEAR else ""
                interval = "" if math.isnan(half) else f" ± {_text(half, metric)}"
                rows.setdefault(key, []).append(f"{difference}{interval}{mark}")
    heads = [metric.heading("strategies") for metric in metrics]
    return [
        Block(
            ["effect (* p < 0.05, Holm)", *heads], [[f"{a}: {b}", *cells] for (a, b), cells in rows.items()]
        )
    ]


def _present(candidates: Sequence[Quantity], records: Sequence[Row], suffix: str = "") -> list[Quantity]:
    """Return the quantities that the rows have; runs of older versions may lack some."""
    return [quantity for quantity in candidates if not records or quantity.name + suffix in records[0]]


def _pairs(result: Result, differences: str, quantity: Quantity) -> list[Block]:
    """Return the table of the compared pairs, or no table; of many pairs, keep only those with the first."""
    records = [
        row
        for row in _records(result, differences)
        if row["stage"] == "whole" and row["metric"] == quantity.name
    ]
    title = f"difference in {quantity.head}"
    if len(records) > MOST_PAIRS:
        title += f" ({len(records)} pairs in all: tables/{differences}.csv)"
        records = [row for row in records if row["a"] == records[0]["a"]]
    rows = [
        [
            f"{row['b']} - {row['a']}",
            _text(_number(row["difference"]), quantity, sign=True),
            _interval(row, quantity),
            format_p(row["p_holm"]),
        ]
        for row in records
    ]
    return [Block([title, "mean", "95 % interval", "p (Holm)"], rows)] if rows else []


def _with_interval(row: Row, quantity: Quantity) -> str:
    value, low, high = (_number(row.get(f"{quantity.name}{part}")) for part in ("", "_low", "_high"))
    text = _text(value, quantity)
    return text if math.isnan(low) or low == high else f"{text} ± {_text((high - low) / 2, quantity)}"


def _interval(row: Row, quantity: Quantity) -> str:
    low, high = _number(row["low"]), _number(row["high"])
    if math.isnan(low):
        return DASH
    return f"{_text(low, quantity, sign=True)} to {_text(high, quantity, sign=True)}"


def _text(value: float, quantity: Quantity, *, sign: bool = False) -> str:
    return format_number(value, quantity.format, TERMINAL, sign=sign)


def _number(value: float | None) -> float:
    """Return a cell of a table as a number; NaN if it is empty."""
    return math.nan if value is None else float(value)
