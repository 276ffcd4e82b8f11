"""All main numbers of a result as tables of text, which ``--all`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradlens.catalogue import CLEAR, HEADLINES, Quantity, quantities_with
from gradlens.numbers import DASH, TERMINAL, format_number, format_p

from .cells import compared_cell, difference_cell, interval_cell, number, text, value_cell
from .layout import WHOLE, Block, Row, without_empty_rows

if TYPE_CHECKING:
    from gradlens.results import Result

MOST_PAIRS = 15
"""Largest number of pairs of strategies that are all printed."""
COMPARISON, SUMMARY = "comparison", "summary"
SIDE_BY_SIDE = {"strategies": ("strategy", "differences"), "networks": ("network", "contrasts")}
"""Tables with one row per network and stage: the heading of the rows, and the table of differences."""
PATHS, STRUCTURE, EFFECTS = "paths", "structure", "effects"


def blocks(result: Result) -> list[Block]:
    """Return the tables of a comparison, of several networks, of paths, or of one network, without empty rows."""
    return [block for block in map(without_empty_rows, _blocks(result)) if block.rows]


def _blocks(result: Result) -> list[Block]:
    if COMPARISON in result.tables:
        return _compared(records_of(result, COMPARISON))
    for name in SIDE_BY_SIDE:
        if name in result.tables:
            return _side_by_side(result, name)
    if PATHS in result.tables and SUMMARY not in result.tables:
        return [single(records_of(result, STRUCTURE), quantities_with(STRUCTURE, "paths"), "paths")]
    if SUMMARY in result.tables:
        return [single(records_of(result, SUMMARY), quantities_with(SUMMARY, "compare"), "compare")]
    return []


def records_of(result: Result, name: str) -> Sequence[Row]:
    """Return the rows of a table of a result."""
    return result.tables[name].frame.to_dict("records")


def _compared(records: Sequence[Row]) -> list[Block]:
    """Return the tables of two networks, one per block of quantities, each at most 120 columns wide."""
    by_block: dict[int, list[Quantity]] = {}
    for quantity in present(quantities_with(COMPARISON, "compare"), records, "_a"):
        column = quantity.column("compare")
        by_block.setdefault(column.block if column else 0, []).append(quantity)
    return [
        Block(
            ["stage", *size_head(records, block), *(quantity.heading("compare") for quantity in block)],
            [
                [
                    str(row["stage"]),
                    *size(row, records, block),
                    *(compared_cell(row, quantity) for quantity in block),
                ]
                for row in records
            ],
        )
        for block in by_block.values()
    ]


def size_head(records: Sequence[Row], block: Sequence[Quantity]) -> list[str]:
    """Return the heading of the column with the number of signals of the duplication, if the block has one."""
    return ["m"] if "m" in records[0] and any(quantity.version for quantity in block) else []


def size(row: Row, records: Sequence[Row], block: Sequence[Quantity]) -> list[str]:
    """Return the number of signals of the duplication of a row, if the block has a column for it."""
    return [format_number(number(row["m"]), "count", TERMINAL) for _ in size_head(records, block)]


def single(records: Sequence[Row], quantities: Sequence[Quantity], screen: str) -> Block:
    """Return the table of one network, one row per stage."""
    columns = present(quantities, records)
    rows = [
        [
            str(row["stage"]),
            *size(row, records, columns),
            *(value_cell(row, quantity) for quantity in columns),
        ]
        for row in records
    ]
    return Block(
        ["stage", *size_head(records, columns), *(quantity.heading(screen) for quantity in columns)], rows
    )


def _side_by_side(result: Result, name: str) -> list[Block]:
    """Return the tables of several networks, of their duplication by stage, and of their differences."""
    heading, differences = SIDE_BY_SIDE[name]
    records = records_of(result, name)
    whole = [row for row in records if row["stage"] == WHOLE]
    if "m" in whole[0]:
        heading += f" (D_m: m = {format_number(number(whole[0]['m']), 'count', TERMINAL)})"
    columns = present(quantities_with(name, "strategies"), records)
    rows = [[str(row["network"]), *(value_cell(row, quantity) for quantity in columns)] for row in whole]
    first = Block([heading, *(quantity.heading("strategies") for quantity in columns)], rows)
    main = quantities_with(name, "strategies")[0]
    stages = list(dict.fromkeys(str(row["stage"]) for row in records))
    cells = {(row["network"], str(row["stage"])): row for row in records}

    def at(network: object, stage: str) -> str:
        return text(number(cells.get((network, stage), {}).get(main.name)), main)

    by_stage = [[str(row["network"]), *(at(row["network"], stage) for stage in stages)] for row in whole]
    return [
        *([effects(result)] if EFFECTS in result.tables else []),
        first,
        Block([main.head, *stages], by_stage),
        *_pairs(result, differences, main),
    ]


def effects(result: Result) -> Block:
    """Return the table of the effects of transitions and of the cut."""
    metrics = [entry for entry in quantities_with(tested=True) if entry.name in HEADLINES]
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for metric in metrics:
        for row in records_of(result, EFFECTS):
            if row["stage"] == WHOLE and row["metric"] == metric.name:
                key = str(row["strategy"]), str(row["effect"])
                rows.setdefault(key, {})[metric.name] = _effect(row, metric)
    return Block(
        ["effect (* p < 0.05, Holm)", *(metric.heading("strategies") for metric in metrics)],
        [
            [f"{a}: {b}", *(cells.get(metric.name, DASH) for metric in metrics)]
            for (a, b), cells in rows.items()
        ],
    )


def _effect(row: Row, quantity: Quantity) -> str:
    """Return a row of the table of effects as text: the star is that of this quantity alone."""
    difference, low, high, p = (number(row[name]) for name in ("difference", "low", "high", "p_holm"))
    return difference_cell(difference, low, high, quantity, p < CLEAR)


def present(candidates: Sequence[Quantity], records: Sequence[Row], suffix: str = "") -> list[Quantity]:
    """Return the quantities that the rows have; runs of older versions may lack some."""
    return [quantity for quantity in candidates if not records or quantity.name + suffix in records[0]]


def _pairs(result: Result, differences: str, quantity: Quantity) -> list[Block]:
    """Return the table of the compared pairs, or no table; of many pairs, keep only those with the first."""
    records = [
        row
        for row in records_of(result, differences)
        if row["stage"] == WHOLE and row["metric"] == quantity.name
    ]
    title = f"difference in {quantity.head}"
    if len(records) > MOST_PAIRS:
        title += f" ({len(records)} pairs in all: tables/{differences}.csv)"
        records = [row for row in records if row["a"] == records[0]["a"]]
    rows = [
        [
            f"{row['b']} - {row['a']}",
            text(number(row["difference"]), quantity, sign=True),
            interval_cell(row, quantity),
            format_p(row["p_holm"]),
        ]
        for row in records
    ]
    return [Block([title, "mean", "95 % interval", "p (Holm)"], rows)] if rows else []
