"""The summary on stdout: which numbers, as which text, in which columns."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .amounts import MISSING, Format, count, number, pvalue, ratio, slope, speed
from .layout import Block, print_blocks
from .terminal import say, width

if TYPE_CHECKING:
    from gradlens.results import Result

MOST_PAIRS = 15
"""Pairs of strategies that are all printed."""
COMPARISON, SUMMARY = "comparison", "summary"
SIDE_BY_SIDE = {"strategies": ("strategy", "differences"), "networks": ("network", "contrasts")}
"""Tables of a row a network and stage: what a row is called, and the table of their differences."""
PATHS, STRUCTURE = "paths", "structure"


# Three blocks: what fits 120 columns.
METRICS: tuple[tuple[tuple[str, str, Format], ...], ...] = (
    (
        ("duplication", "duplication", ratio),
        ("duplication_direction", "direction", ratio),
        ("duplication_given_loss", "given loss", ratio),
    ),
    (
        ("n_eff_share", "N_eff / L", ratio),
        ("branch_correlation", "branch corr.", ratio),
        ("flow_slope", "flow slope", slope),
    ),
    (
        ("dead_signals", "dead", count),
        ("flops", "FLOPs", count),
        ("parameters", "parameters", count),
        ("structural_duplication", "structural", ratio),
    ),
)


STRUCTURE_COLUMNS: tuple[tuple[str, str, Format], ...] = (
    ("layers", "layers", count),
    ("structural_duplication", "structural duplication", ratio),
    ("timestamp_combinations", "combinations", count),
    ("mean_sources", "mean sources", ratio),
    ("max_reuse", "max reuse", count),
    ("longest_shortest", "longest shortest path", count),
    ("longest", "longest path", count),
    ("cross_terms", "cross terms", ratio),
)
STRATEGY_COLUMNS: tuple[tuple[str, str, Format], ...] = (
    ("duplication", "duplication", ratio),
    ("duplication_direction", "direction", ratio),
    ("duplication_given_loss", "given loss", ratio),
    ("structural_duplication", "structural", ratio),
    ("split_correlation", "at split", ratio),
    ("merge_correlation", "at merge", ratio),
    ("accuracy", "accuracy", ratio),
    ("loss", "loss", ratio),
    ("flops", "FLOPs", count),
    ("parameters", "parameters", count),
    ("traffic_elements", "traffic", count),
    ("bottleneck", "bottleneck", ratio),
    ("images_per_second", "images/s", speed),
)


UNITS = {
    "duplication, direction, given loss": "0 unrelated to 1 copies",
    "structural, structural duplication": "0 to 1, from the graph alone",
    "N_eff / L": "share of distinct signals",
    "branch corr., at split, at merge": "CKA, about 0 to 1",
    "flow slope": "decades a layer",
    "dead, signals, layers": "a network",
    "FLOPs": "an image, multiply-add = 2",
    "parameters": "elements",
    "traffic": "elements an image",
    "bottleneck": "largest layer / mean",
    "accuracy": "share of held-out samples",
    "loss": "cross entropy, held-out",
}
"""Units by the heads of the columns that have them."""


def show(result: Result) -> None:
    """Print the summary table of a result and its finding; on a terminal also the units."""
    if COMPARISON in result.tables:
        say(f"{result.meta['a']} | {result.meta['b']}  difference [95 % interval]\n")
    shown = blocks(result)
    print_blocks(shown)
    if width(sys.stdout) is not None and shown:
        say(f"units: {units(shown)}\n", indent="  ")
    say(result.finding)


def units(shown: Iterable[Block]) -> str:
    """The units of the columns that are shown, those alike together.

    >>> units([Block(["stage", "duplication", "FLOPs"], [])])
    'duplication: 0 unrelated to 1 copies; FLOPs: an image, multiply-add = 2'
    """
    present = {head for block in shown for head in block.headers}
    told = []
    for heads, unit in UNITS.items():
        named = [head for head in heads.split(", ") if head in present]
        if named:
            told.append(f"{', '.join(named)}: {unit}")
    return "; ".join(told)


def blocks(result: Result) -> list[Block]:
    """What is shown of a comparison, or of one network."""
    if COMPARISON in result.tables:
        records = result.tables[COMPARISON].frame.to_dict("records")
        return [_compared(records, metrics) for metrics in METRICS]
    for name in SIDE_BY_SIDE:
        if name in result.tables:
            return _side_by_side(result, name)
    if PATHS in result.tables and SUMMARY not in result.tables:
        return [_structure(result.tables[STRUCTURE].frame.to_dict("records"))]
    if SUMMARY in result.tables:
        return [_single(result.tables[SUMMARY].frame.to_dict("records"))]
    return []


def _compared(records: Sequence[Mapping[Any, Any]], metrics: Sequence[tuple[str, str, Format]]) -> Block:
    rows = [
        [str(row["stage"]), *(compared_cell(row, key, form) for key, _, form in metrics)] for row in records
    ]
    return Block(["stage", *(title for _, title, _ in metrics)], rows)


def compared_cell(row: Mapping[Any, Any], metric: str, form: Format) -> str:
    """Both networks, the difference and its interval: ``0.79 | 0.68  -0.11 [-0.15, -0.07]``."""
    a, b, difference, low, high = (
        number(row.get(f"{metric}_{part}")) for part in ("a", "b", "difference", "low", "high")
    )
    if math.isnan(a) and math.isnan(b):
        return MISSING
    text = f"{_text(a, form)} | {_text(b, form)}"
    if math.isnan(difference):
        return text
    text += f"  {_signed(difference, form)}"
    if math.isnan(low) or math.isnan(high) or low == high:
        return text
    return f"{text} [{_signed(low, form)}, {_signed(high, form)}]"


def _single(records: Sequence[Mapping[Any, Any]]) -> Block:
    metrics = [metric for block in METRICS for metric in block]
    metrics.insert(-4, ("signals", "signals", count))
    shown = [metric for metric in metrics if not records or metric[0] in records[0]]
    rows = [
        [str(row["stage"]), *(_with_interval(row, key, form) for key, _, form in shown)] for row in records
    ]
    return Block(["stage", *(title for _, title, _ in shown)], rows)


def _structure(records: Sequence[Mapping[Any, Any]]) -> Block:
    rows = [
        [str(row["stage"]), *(_text(number(row[key]), form) for key, _, form in STRUCTURE_COLUMNS)]
        for row in records
    ]
    return Block(["stage", *(title for _, title, _ in STRUCTURE_COLUMNS)], rows)


def _side_by_side(result: Result, name: str) -> list[Block]:
    """A row a network, its duplication by stage, and the differences between them."""
    called, differences = SIDE_BY_SIDE[name]
    records = result.tables[name].frame.to_dict("records")
    whole = [row for row in records if row["stage"] == "whole"]
    shown = [column for column in STRATEGY_COLUMNS if column[0] in records[0]]
    rows = [
        [str(row["network"]), *(_with_interval(row, key, form) for key, _, form in shown)] for row in whole
    ]
    first = Block([called, *(title for _, title, _ in shown)], rows)
    stages = list(dict.fromkeys(str(row["stage"]) for row in records))
    cells = {(row["network"], str(row["stage"])): row for row in records}

    def at(network: Any, stage: str) -> str:
        return _text(number(cells.get((network, stage), {}).get("duplication")), ratio)

    by_stage = [[str(row["network"]), *(at(row["network"], stage) for stage in stages)] for row in whole]
    return [first, Block(["duplication", *stages], by_stage), *_pairs(result, differences)]


def _pairs(result: Result, differences: str) -> list[Block]:
    """The pairs that were compared, where there is one; of many only those with the first."""
    records = [
        row
        for row in result.tables[differences].frame.to_dict("records")
        if row["stage"] == "whole" and row["metric"] == "duplication"
    ]
    title = "difference in duplication"
    if len(records) > MOST_PAIRS:
        title += f" ({len(records)} pairs in all: tables/{differences}.csv)"
        records = [row for row in records if row["a"] == records[0]["a"]]
    rows = [
        [
            f"{row['b']} - {row['a']}",
            _signed(number(row["difference"]), ratio),
            _interval(row),
            pvalue(row["p_holm"]),
        ]
        for row in records
    ]
    return [Block([title, "mean", "95 % interval", "p (Holm)"], rows)] if rows else []


def _with_interval(row: Mapping[Any, Any], metric: str, form: Format) -> str:
    value, low, high = (number(row.get(f"{metric}{part}")) for part in ("", "_low", "_high"))
    text = _text(value, form)
    return text if math.isnan(low) or low == high else f"{text} ± {form((high - low) / 2)}"


def _interval(row: Mapping[Any, Any]) -> str:
    low, high = number(row["low"]), number(row["high"])
    return MISSING if math.isnan(low) else f"{_signed(low, ratio)} to {_signed(high, ratio)}"


def _text(value: float, form: Format) -> str:
    return form(value) if math.isfinite(value) else MISSING


def _signed(value: float, form: Format) -> str:
    text = form(value)
    return text if text.startswith("-") or not text.strip("0.") else f"+{text}"
