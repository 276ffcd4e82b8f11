"""Both spaces in one result: the same numbers as two runs, under distinct names."""

import pytest

import gradlens as gl
from gradlens.catalogue import about, kind
from gradlens.errors import GradlensError
from gradlens.plots import PLOTS, plot_frame
from gradlens.report.charts import charts
from gradlens.report.drawing import figures
from gradlens.report.formats import drawable

SMALL = {"image_size": 32, "batch_size": 8, "batches": 2, "seeds": 2, "throughput": False}


@pytest.fixture(scope="module")
def both():
    return gl.inspect("resnet18", space="both", **SMALL)


@pytest.fixture(scope="module")
def separate():
    return {space: gl.inspect("resnet18", space=space, **SMALL) for space in ("activations", "weights")}


def test_every_table_equals_that_of_a_separate_run(both, separate):
    for name, table in separate["activations"].tables.items():
        assert both[name].frame.equals(table.frame), name
    for name, table in separate["weights"].tables.items():
        key = f"{name}_weights" if about(name).each_space else name
        if key.endswith("_weights") or name not in separate["activations"].tables:
            assert both[key].frame.equals(table.frame), name
    assert {"duplication_weights", "correlation_weights", "noise", "readers"} <= set(both.tables)


def test_the_finding_and_the_warnings_are_of_both(both, separate):
    activations, weights = separate["activations"], separate["weights"]
    assert both.headline == (
        f"{activations.headline.removesuffix('.')}; of the gradients of weights: {weights.headline}"
    )
    assert both.details == f"{activations.details} Of the gradients of weights: {weights.details}"
    for result in separate.values():
        assert set(result.warnings) <= set(both.warnings)


def test_the_page_offers_the_choice(both, separate):
    spec = charts(both)["correlation"]
    choice = next(param for param in spec["params"] if param["name"] == "space")
    assert choice["bind"]["options"] == ["activations", "weights"]
    assert spec["usermeta"]["tables"] == [
        ("activations", "correlation"),
        ("weights", "correlation_weights"),
    ]
    assert all(param["name"] != "space" for param in charts(separate["weights"])["correlation"]["params"])


def test_figures_are_drawn_of_both(both):
    drawn = figures(both)
    assert {"duplication", "duplication_weights"} <= set(drawn)
    assert set(drawn) == set(drawable(both))
    assert {kind(name) for name in drawn} <= set(PLOTS)
    assert plot_frame("flow_weights", both["flow_weights"].frame) is not None


def test_the_result_is_saved_and_loaded(both, tmp_path):
    both.save(tmp_path)
    assert set(gl.load(tmp_path).tables) == set(both.tables)


@pytest.mark.parametrize("measure", [gl.strategies, gl.paths])
def test_other_measurements_refuse_both_spaces_at_once(measure):
    with pytest.raises(GradlensError, match="space='both' works only in compare and inspect"):
        measure("no such network", space="both")
