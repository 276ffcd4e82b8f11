"""Cells of the summary, and its output in a pipe and on a terminal."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from gradlens.catalogue import Quantity
from gradlens.results import Result, Table
from gradlens_cli import cells, screen, summary
from gradlens_cli.layout import Block, plain

NAN = math.nan


@pytest.mark.parametrize(
    ("values", "form", "text"),
    [
        ((0.79, 0.68, -0.11, -0.15, -0.07), "ratio", "0.79 | 0.68  -0.11 [-0.15, -0.07]"),
        ((0.68, 0.79, 0.11, -0.01, 0.2), "ratio", "0.68 | 0.79  +0.11 [-0.01, +0.20]"),
        ((0.5, 0.5, 0.0, 0.0, 0.0), "ratio", "0.50 | 0.50  0.00"),
        ((NAN, NAN, NAN, NAN, NAN), "ratio", "\N{EN DASH}"),
        ((0.5, NAN, NAN, NAN, NAN), "ratio", "0.50 | \N{EN DASH}"),
        ((0.5, 0.4, -0.1, NAN, NAN), "ratio", "0.50 | 0.40  -0.10"),
        ((4.1e9, 2.3e9, -1.8e9, -1.8e9, -1.8e9), "amount", "4.1 G | 2.3 G  -1.8 G"),
        ((0, 3, 3, NAN, NAN), "amount", "0 | 3  +3"),
        ((None, 3, None, None, None), "amount", "\N{EN DASH} | 3"),
    ],
)
def test_a_cell_shows_both_values_and_the_difference(values: tuple[Any, ...], form: Any, text: str) -> None:
    row = {
        f"m_{part}": value
        for part, value in zip(("a", "b", "difference", "low", "high"), values, strict=True)
    }
    assert cells.compared_cell(row, Quantity("m", "M", "m", "1", format=form)) == text


def test_a_comparison_fits_120_columns(compared: Result) -> None:
    blocks = summary.blocks(compared)
    assert [len(block.rows) for block in blocks] == [3, 3, 3]
    assert max(len(line) for block in blocks for line in plain(block).splitlines()) <= 120


def test_several_networks_are_rows_with_corrected_differences() -> None:
    rows = [
        {
            "network": name,
            "stage": stage,
            "rarefied_duplication": 0.6 - 0.1 * i,
            "rarefied_duplication_low": 0.5,
            "rarefied_duplication_high": 0.7,
        }
        for i, name in enumerate(("a", "b", "c"))
        for stage in ("4", "whole")
    ]
    pair = {
        "stage": "whole",
        "metric": "rarefied_duplication",
        "a": "a",
        "difference": -0.1,
        "low": -0.2,
        "high": 0.0,
    }
    pairs = [{**pair, "b": name, "p_holm": p} for name, p in (("b", 0.04), ("c", NAN))]
    tables = {"networks": pd.DataFrame(rows), "contrasts": pd.DataFrame(pairs)}
    result = Result({name: Table(name, frame, "") for name, frame in tables.items()}, {}, "")
    first, by_stage, differences = map(plain, summary.blocks(result))
    assert first.splitlines()[:2] == ["network  duplication", "a        0.60 ± 0.10"]
    assert by_stage.splitlines()[-1].split() == ["c", "0.40", "0.40"]
    assert differences.splitlines()[1].split() == ["b", "-", "a", "-0.10", "-0.20", "to", "0.00", "0.040"]
    assert differences.splitlines()[2].endswith("\N{EN DASH}")


def test_units_are_listed_for_the_columns_that_are_shown() -> None:
    head = ["layer", "signals", "at split", "structural duplication", "images/s", "at merge", "layers"]
    assert screen.units([Block(head, [])]) == (
        "structural duplication: 0 to 1, from the graph alone; at split, at merge: CKA, about 0 to 1;"
        " signals, layers: per network"
    )


def test_paths_have_columns_for_the_structure_with_the_longer_name() -> None:
    row = {"stage": "4", "layers": 3, "structural_duplication": 0.25, "cross_terms": NAN, "longest": 1200}
    tables = {name: Table(name, pd.DataFrame([row]), "") for name in ("structure", "paths")}
    (block,) = summary.blocks(Result(tables, {}, ""))
    assert plain(block).splitlines() == [
        "stage  layers  structural duplication  longest path  cross terms",
        "4      3       0.25                    1.2 k         \N{EN DASH}",
    ]
