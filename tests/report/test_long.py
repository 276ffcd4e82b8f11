"""Tables of all numbers with one row per quantity."""

import math

import pandas as pd

from gradlens.report.long import in_rows
from gradlens.results import Table


def test_a_comparison_has_a_row_per_stage_and_quantity_with_a_value(make_result):
    table = make_result()["comparison"]
    rows = in_rows(table, ("x", "y"))
    assert list(rows.frame) == ["stage", "quantity", "a", "b", "difference", "low", "high", "p_holm"]
    assert rows.units == {"a": "x", "b": "y"}
    assert set(rows.frame["stage"]) == {"4", "whole"}
    row = rows.frame.query("stage == '4' and quantity == 'Duplication D_m, energy'").iloc[0]
    wide = table.frame.set_index("stage").loc["4"]
    for part in ("a", "b", "difference", "low", "high"):
        assert row[part] == wide[f"rarefied_duplication_{part}"]
    assert len(rows.frame) == 8


def test_several_networks_keep_their_names_and_m():
    columns = {
        "network": ["a", "b"],
        "stage": ["4", "4"],
        "m": [7.0, 7.0],
        "rarefied_duplication": [0.5, math.nan],
    }
    rows = in_rows(Table("networks", pd.DataFrame(columns), "")).frame
    assert rows.drop(columns=["low", "high"]).to_dict("records") == [
        {"network": "a", "stage": "4", "quantity": "Duplication D_m, energy", "m": 7.0, "value": 0.5}
    ]


def test_other_tables_and_empty_ones_are_unchanged(make_result):
    flow = make_result()["flow"]
    assert in_rows(flow) is flow
    empty = Table("comparison", pd.DataFrame(), "")
    assert in_rows(empty) is empty
