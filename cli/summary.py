"""The summary on stdout: which numbers, as which text, in which columns."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gradlens.results import Result

MISSING = "\N{EN DASH}"
COMPARISON, SUMMARY = "comparison", "summary"


@dataclass(frozen=True)
class Block:
    """A small table of texts; the first column names the row."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


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


Format = Callable[[float], str]
# Three blocks of three: what fits 120 columns.
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
    ),
)


def show(result: Result) -> None:
    """Print the summary table of a result and its finding."""
    if COMPARISON in result.tables:
        click.echo(f"{result.meta['a']} | {result.meta['b']}  difference [95 % interval]\n")
    print_blocks(blocks(result))
    click.echo(result.finding)


def blocks(result: Result) -> list[Block]:
    """What is shown of a comparison, or of one network."""
    if COMPARISON in result.tables:
        records = result.tables[COMPARISON].frame.to_dict("records")
        return [_compared(records, metrics) for metrics in METRICS]
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
    metrics.insert(-3, ("signals", "signals", count))
    shown = [metric for metric in metrics if not records or metric[0] in records[0]]
    rows = [
        [str(row["stage"]), *(_text(_number(row[key]), form) for key, _, form in shown)] for row in records
    ]
    return Block(["stage", *(title for _, title, _ in shown)], rows)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _text(value: float, form: Format) -> str:
    return form(value) if math.isfinite(value) else MISSING


def _signed(value: float, form: Format) -> str:
    text = form(value)
    return text if text.startswith("-") or not text.strip("0.") else f"+{text}"


def print_blocks(shown: Iterable[Block]) -> None:
    """Print tables: drawn on a terminal, plain aligned columns in a pipe."""
    for block in shown:
        if sys.stdout.isatty():
            _print_drawn(block)
        else:
            click.echo(plain(block) + "\n")


def plain(block: Block) -> str:
    """Aligned columns without lines, as wide as they need.

    >>> print(plain(Block(["stage", "n"], [["1", "2.5 k"], ["whole", "7"]])))
    stage  n
    1      2.5 k
    whole  7
    """
    lines = [block.headers, *block.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _print_drawn(block: Block) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in block.headers:
        table.add_column(Text(header))
    for row in block.rows:
        table.add_row(*(Text(cell) for cell in row), style="bold" if row[0] == "whole" else None)
    Console().print(table)
