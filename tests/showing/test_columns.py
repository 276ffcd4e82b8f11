"""Cells as text, and values together with their intervals."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from gradlens.showing.columns import columns, main_columns, text

ODD = [
    None,
    np.nan,
    pd.NA,
    pd.NaT,
    np.array([1, 2]),
    np.float32(0.5),
    10**40,
    {"a": 1},
    datetime.date(2020, 1, 2),
]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_any_value_has_a_text(value: object) -> None:
    assert text(value)


def test_only_missing_values_are_dashes() -> None:
    assert [text(value) for value in (None, np.nan, pd.NA, pd.NaT)] == ["–"] * 4
    assert "–" not in {text(value) for value in (0, 0.0, "", False, -np.inf)}
    assert text(-np.inf) == "−∞"


def test_numbers_are_right_aligned_and_flags_are_not() -> None:
    frame = pd.DataFrame({"x": [0.25], "n": [3], "alive": [True], "name": ["a"]})
    cells = columns(frame, {"x": "decades"})
    assert [column.number for column in cells] == [True, True, False, False]
    assert [column.texts for column in cells] == [("0.250",), ("3",), ("yes",), ("a",)]
    assert cells[0].unit == "decades"


def test_two_columns_of_one_name_are_both_shown() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["x", "x"])
    assert [column.texts for column in columns(frame, {})] == [("1",), ("2",)]
    assert [column.texts for column in main_columns(frame, {})] == [("1",), ("2",)]


def test_an_interval_is_next_to_its_value() -> None:
    frame = pd.DataFrame(
        {
            "stage": ["4", "8"],
            "rarefied_duplication": [0.5, 0.25],
            "rarefied_duplication_low": [0.4, np.nan],
            "rarefied_duplication_high": [0.6, np.nan],
            "dead_signals": [1, 2],
        }
    )
    stage, duplication = main_columns(
        frame, {"rarefied_duplication": "0 to 1"}
    )  # other numbers are only in the table
    assert stage.texts == ("4", "8")
    assert duplication.texts == ("0.500 [0.400, 0.600]", "0.250")
    assert duplication.unit == "0 to 1; [95 % interval]"


def test_two_networks_are_next_to_each_other_with_their_difference() -> None:
    frame = pd.DataFrame(
        {
            "stage": ["4", "8"],
            "flops_a": [1e9, 2e9],
            "flops_b": [1e9, np.nan],
            "flops_difference": [0.0, np.nan],
            "flops_low": [np.nan] * 2,
            "flops_high": [np.nan] * 2,
            "rarefied_duplication_a": [0.5, 0.25],
            "rarefied_duplication_b": [0.75, 0.125],
            "rarefied_duplication_difference": [0.25, -0.125],
            "rarefied_duplication_low": [0.125, -0.25],
            "rarefied_duplication_high": [0.375, 0.125],
        }
    )
    _, flops, duplication = main_columns(frame, {})
    assert flops.texts == ("1.00\u202fG | 1.00\u202fG, 0", "2.00\u202fG | –")
    assert duplication.texts == (
        "0.500 | 0.750, +0.250 [+0.125, +0.375]",
        "0.250 | 0.125, −0.125 [−0.250, +0.125]",
    )


def test_a_value_and_its_interval_have_the_same_digits() -> None:
    frame = pd.DataFrame(
        {
            "rarefied_duplication_a": [0.487, 1e6],
            "rarefied_duplication_b": [0.5168, 1e6],
            "rarefied_duplication_difference": [0.0298, -0.0001],
            "rarefied_duplication_low": [-0.0393, np.nan],
            "rarefied_duplication_high": [0.0998, np.nan],
        }
    )
    (duplication,) = main_columns(frame, {})
    assert duplication.texts == ("0.487 | 0.517, +0.030 [−0.039, +0.100]", "1.00e6 | 1.00e6, −1.00e-4")
    slope = pd.DataFrame({"slope": [-0.0221], "slope_low": [-0.03], "slope_high": [-0.00001]})
    assert main_columns(slope, {})[0].texts == ("−0.0221 [−0.0300, 0.0000]",)


def test_a_table_without_main_numbers_has_all_columns_with_half_widths() -> None:
    frame = pd.DataFrame({"site": ["a"], "energy": [0.5], "energy_reach": [0.1], "share_a": [0.3]})
    assert [(column.name, column.texts) for column in main_columns(frame, {})] == [
        ("site", ("a",)),
        ("energy", ("0.500 ± 0.100",)),
        ("share_a", ("0.300",)),
    ]
