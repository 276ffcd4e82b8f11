"""The summary on stdout: which numbers, as which text, in which columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .layout import Block, print_blocks
from .terminal import say

if TYPE_CHECKING:
    from gradlens.results import Result

MOST_PAIRS = 15
"""Pairs of strategies that are all printed."""
MISSING = "\N{EN DASH}"
COMPARISON, SUMMARY = "comparison", "summary"
SIDE_BY_SIDE = {"strategies": ("strategy", "differences"), "networks": ("network", "contrasts")}
"""Tables of a row a network and stage: what a row is called, and the table of their differences."""
PATHS, STRUCTURE = "paths", "structure"


def ratio(value: float) -> str:
    """A number without unit.

    >>> ratio(0.6812), ratio(-0.001), ratio(1234.5)
    ('0.68', '0.00', '1234')
    """
    text = f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    return text.lstrip("-") if float(text) == 0 else text


def slope(value: float) -> str:
    """A small number with its sign.

    >>> slope(-0.01234), slope(0.00001)
    ('-0.012', '0.000')
    """
    text = f"{value:.3f}"
    return text.lstrip("-") if float(text) == 0 else text


def count(value: float) -> str:
    """A count with its thousands as a letter.

    >>> count(4.1e9), count(-23508032), count(999_999), count(7), count(1.33)
    ('4.1 G', '-23.5 M', '1.0 M', '7', '1.3')
    """
    if abs(value) < 1000:
        return f"{value:.1f}".removesuffix(".0")
    letters = iter("kMGTP")
    letter = ""
    while abs(value) >= 999.95:
        value, letter = value / 1000, next(letters)
    return f"{value:.1f} {letter}"


def speed(value: float) -> str:
    """Images a second, to what can be told from a few steps.

    >>> speed(176.4), speed(42.48), speed(3.14)
    ('176', '42', '3.1')
    """
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


Format = Callable[[float], str]
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


def show(result: Result) -> None:
    """Print the summary table of a result and its finding."""
    if COMPARISON in result.tables:
        say(f"{result.meta['a']} | {result.meta['b']}  difference [95 % interval]\n")
    print_blocks(blocks(result))
    say(result.finding)


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
        _number(row.get(f"{metric}_{part}")) for part in ("a", "b", "difference", "low", "high")
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
        [str(row["stage"]), *(_text(_number(row[key]), form) for key, _, form in STRUCTURE_COLUMNS)]
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
        return _text(_number(cells.get((network, stage), {}).get("duplication")), ratio)

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
            _signed(_number(row["difference"]), ratio),
            _interval(row),
            pvalue(row["p_holm"]),
        ]
        for row in records
    ]
    return [Block([title, "mean", "95 % interval", "p (Holm)"], rows)] if rows else []


def _with_interval(row: Mapping[Any, Any], metric: str, form: Format) -> str:
    value, low, high = (_number(row.get(f"{metric}{part}")) for part in ("", "_low", "_high"))
    text = _text(value, form)
    return text if math.isnan(low) or low == high else f"{text} ± {form((high - low) / 2)}"


def _interval(row: Mapping[Any, Any]) -> str:
    low, high = _number(row["low"]), _number(row["high"])
    return MISSING if math.isnan(low) else f"{_signed(low, ratio)} to {_signed(high, ratio)}"


def pvalue(value: Any) -> str:
    """A p-value.

    >>> pvalue(0.0312), pvalue(0.00001), pvalue(None)
    ('0.031', '< 0.001', '–')
    """
    number = _number(value)
    return MISSING if math.isnan(number) else "< 0.001" if number < 0.001 else f"{number:.3f}"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _text(value: float, form: Format) -> str:
    return form(value) if math.isfinite(value) else MISSING


def _signed(value: float, form: Format) -> str:
    text = form(value)
    return text if text.startswith("-") or not text.strip("0.") else f"+{text}"
