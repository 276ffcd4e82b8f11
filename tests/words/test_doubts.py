"""What stands in the heading: an unfair comparison, a partial run, too few seeds."""

import pandas as pd
import pytest

from gradlens.results import Result, Table
from gradlens.words.doubts import doubts, others


def result_of(*warnings, tables=(), **meta):
    return Result({table.name: table for table in tables}, meta, "Found.", warnings)


def differences(name, pairs, p):
    rows = [{"a": a, "b": b, "p_holm": p} for a, b in pairs]
    return Table(name, pd.DataFrame(rows), "Differences.")


def test_a_sound_result_has_no_doubt():
    assert doubts(result_of("a: one seed", seeds=[0])) == []


@pytest.mark.parametrize("opening", ["not a fair comparison", "Not a fair comparison"])
def test_every_warning_that_says_so_is_in_the_heading_only(opening):
    result = result_of(
        f"{opening}: a in train mode, b in eval", f"{opening}: 8 samples: for a", "b: is not a fair one"
    )
    assert [doubt.reason for doubt in doubts(result)] == ["a in train mode, b in eval", "8 samples: for a"]
    assert {doubt.mark for doubt in doubts(result)} == {"Not a fair comparison"}
    assert others(result) == ["b: is not a fair one"]


@pytest.mark.parametrize("partial", [True, "2 of 3 seeds"])
def test_a_run_that_was_stopped_comes_first(partial):
    result = result_of("not a fair comparison: 8 samples for a, 9 for b", partial=partial)
    assert [doubt.mark for doubt in doubts(result)] == ["Partial result", "Not a fair comparison"]


@pytest.mark.parametrize("name", ["contrasts", "effects", "differences"])
def test_too_few_seeds_are_counted_over_all_pairs(name):
    """Three seeds can pass the correction of one pair only with |t| above 20."""
    table = differences(name, [("a", "b"), ("a", "c")], 0.3)
    (doubt,) = doubts(result_of(tables=[table], seeds=[0, 1, 2]))
    assert doubt.mark == "Too few seeds"
    assert doubt.reason.startswith(
        "with 3 seeds hardly any difference can hold after the correction for about"
    )
    assert doubts(result_of(tables=[differences(name, [("a", "b")], 0.01)], seeds=[0, 1, 2])) == []
    assert doubts(result_of(tables=[table], seeds=range(5))) == []


def test_a_result_without_corrected_p_is_not_judged():
    table = Table("comparison", pd.DataFrame({"stage": ["whole"], "loss_a": [1.0]}), "")
    assert doubts(result_of(tables=[table], seeds=[0, 1])) == []
