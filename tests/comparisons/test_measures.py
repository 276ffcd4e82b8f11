"""The columns of measured quantities: those of a table that are missing, by stage and seed."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from gradlens.catalogue import quantities_with, quantity
from gradlens.comparisons.measures import add_fixed, add_measured, measures

TABLES = ("summary", "strategies")


@pytest.fixture
def recording(hand, draw, seeds):
    build = hand(seeds(2, 2))
    for depth, stage in enumerate(("4", "4", "8")):
        build.gradient(draw(depth, 4) * 0.1**depth, f"conv{depth}", stage, depth)
    return build.recording()


@pytest.fixture
def frame(recording):
    """One row per stage and seed, also of a stage that no measure knows."""
    index = pd.MultiIndex.from_product([["4", "16", "whole"], recording.seeds], names=["stage", "seed"])
    return pd.DataFrame(index=index)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fixed", [False, True])
def test_measures_are_those_that_the_catalogue_names(table, fixed):
    expected = [entry for entry in quantities_with(table, fixed=fixed) if entry.measure]
    chosen = measures(table, fixed=fixed)
    assert list(chosen) == [entry.name for entry in expected]
    assert [f"{m.__module__}.{m.__name__}" for m in chosen.values()] == [
        f"gradlens.analyzers.{entry.measure}" for entry in expected
    ]


def test_a_measure_is_taken_in_each_seed_and_a_stage_without_a_value_is_nan(recording, frame):
    add_measured(frame, recording, "summary")
    slopes = [measures("summary")["flow_slope"](recording.of_seed(seed)) for seed in recording.seeds]
    assert frame["flow_slope"].xs("whole", level="stage").tolist() == [slope["whole"] for slope in slopes]
    assert slopes[0]["whole"] != slopes[1]["whole"]
    assert frame["flow_slope"].xs("16", level="stage").isna().all()


def test_columns_that_are_there_are_kept(recording, frame):
    frame["flow_slope"] = 7.0
    add_measured(frame, recording, "summary")
    assert (frame["flow_slope"] == 7.0).all()
    assert set(measures("summary")) <= set(frame)


def test_a_new_quantity_is_added_without_another_line(recording, frame, monkeypatch):
    known = quantity("flow_slope")
    new = dataclasses.replace(known, name="slope_again", title="Again", head="again")
    constant = dataclasses.replace(new, name="slope_once", fixed=True)
    monkeypatch.setitem(quantities_with.__globals__, "QUANTITIES", (known, new, constant))
    add_measured(frame, recording, "summary")
    add_fixed(frame, recording, "summary")
    assert frame["slope_again"].equals(frame["flow_slope"].rename("slope_again"))
    once = frame["slope_once"].xs("whole", level="stage").to_numpy()
    assert np.isfinite(once[0])
    assert once[0] == once[1]
