"""A number as a sentence: from the table, with everything it depends on."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from gradlens.errors import GradlensError
from gradlens.results.quoting import quote

PAIR = pd.DataFrame(
    {
        "stage": ["4", "whole"],
        "m": [7.0, 54.0],
        "rarefied_duplication_a": [0.5, 0.495],
        "rarefied_duplication_b": [math.nan, 0.441],
        "rarefied_duplication_difference": [math.nan, -0.054],
        "rarefied_duplication_low": [math.nan, -0.058],
        "rarefied_duplication_high": [math.nan, -0.051],
        "rarefied_duplication_p_holm": [math.nan, 3.2e-5],
        "flops_a": [1e6, 4e6],
        "flops_b": [2e6, 3e6],
        "flops_difference": [1e6, -1e6],
    }
)
ALONE = pd.DataFrame(
    {
        "stage": ["whole"],
        "m": [5.0],
        "rarefied_duplication": [0.4],
        "rarefied_duplication_low": [0.3],
        "rarefied_duplication_high": [0.5],
    }
)


def of_pair(metric: str, stage: str = "whole") -> str:
    return quote({"comparison": PAIR}, ["first", "second"], 5, metric, stage)


def test_a_difference_has_its_interval_and_p_value() -> None:
    assert of_pair("rarefied_duplication") == (
        "Duplication D_m, energy (m = 54) of the whole network: 0.495 for first and 0.441 for second "
        "(paired difference −0.054, 95 % interval −0.058 to −0.051, p < 0.001 after Holm's correction, 5 seeds)"
    )


def test_a_cost_has_no_interval() -> None:
    text = of_pair("flops", "4").replace("\u202f", " ")
    assert text.endswith(
        "in stage 4: 1.00 M for first and 2.00 M for second (paired difference +1.00 M, 5 seeds)"
    )


def test_a_missing_value_is_said() -> None:
    assert of_pair("rarefied_duplication", "4").endswith(
        "0.500 for first and not defined for second (5 seeds)"
    )


def test_one_network_has_its_own_interval() -> None:
    text = quote({"summary": ALONE}, ["first"], 1, "rarefied_duplication", "whole")
    assert text.endswith(
        "(m = 5) of the whole network: 0.400 for first (95 % interval 0.300 to 0.500, 1 seed)"
    )


@pytest.mark.parametrize(("metric", "stage", "message"), [
    ("rarefied", "whole", "no quantity 'rarefied'; there are rarefied_duplication"),
    ("flops", "44", "no stage '44'; there are 4, whole"),
    (None, "whole", "no quantity None"),
])  # fmt: skip
def test_an_unknown_name_gets_the_known_ones(metric: str, stage: str, message: str) -> None:
    with pytest.raises(GradlensError, match=message):
        of_pair(metric, stage)


def test_a_result_of_many_networks_names_its_tables() -> None:
    with pytest.raises(GradlensError, match=r"one network or of two networks.*: networks, contrasts"):
        quote({"networks": ALONE, "contrasts": ALONE}, ["a", "b", "c"], 3, "flops", "whole")
