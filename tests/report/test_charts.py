"""Interactive figures, checked without a browser: their tables, their choices, and when there is none."""

import json

import pandas as pd
import pytest

from gradlens.plots import PLOTS
from gradlens.plots.colours import POSITIONS, STRATEGIES, styles_in
from gradlens.report import charts as module
from gradlens.report.charts import CHARTS, charts
from gradlens.report.specifications import SHAPES
from gradlens.results import Result, Table
from gradlens.showing.embedding import as_json

VERSIONS = ["energy", "direction", "energy_given_loss", "direction_given_loss"]


def pairs(network, stages=("4", "8")):
    layers = [(f"{network}.{index}", stage) for index, stage in enumerate(stages)]
    rows = [
        {
            "network": network, "network_a": network, "network_b": "other", "stage_a": a[1], "stage_b": b[1],
            "signal_a": a[0], "signal_b": b[0], "order_a": i, "order_b": j, **dict.fromkeys(VERSIONS, 0.5),
        }
        for i, a in enumerate(layers)
        for j, b in enumerate(layers)
        if i < j
    ]  # fmt: skip
    return pd.DataFrame(rows)


def result_of(name, *frames, **meta):
    return Result({name: Table(name, pd.concat(frames, ignore_index=True), "")}, meta, "")


def choices(spec):
    return {param["name"]: param["bind"]["options"] for param in spec["params"]}


def test_each_chart_belongs_to_a_plot_and_lists_required_columns():
    assert set(CHARTS) <= set(PLOTS)
    assert all(chart.needs for chart in CHARTS.values())


def test_network_version_and_stage_can_be_selected():
    stages = ("4", "4", "8", "8", "head")  # a stage of one layer has no pair to show
    spec = charts(result_of("correlation", pairs("a", stages), pairs("b", stages)))["correlation"]
    assert choices(spec) == {"network": ["a", "b"], "version": VERSIONS, "stage": ["all stages", "4", "8"]}
    assert spec["usermeta"] == {
        "tables": [("activations", "correlation")],
        "mirrored": True,
        "renderer": "canvas",
    }


def test_a_single_network_cannot_be_selected():
    spec = charts(result_of("correlation", pairs("a")))["correlation"]
    assert "network" not in choices(spec)
    assert not any("network" in step.get("filter", "") for step in spec["transform"])


def test_the_other_network_can_be_selected_if_there_are_several():
    second = pairs("a").assign(network_b="third")
    spec = charts(result_of("cross", pairs("a"), second))["cross"]
    assert choices(spec)["other"] == ["other", "third"]


def test_a_run_in_weight_space_reads_tables_of_weights():
    for meta in ({"space": "weights"}, {"study": {"space": "weights"}}):
        spec = charts(result_of("correlation", pairs("a"), **meta))["correlation"]
        assert spec["usermeta"]["tables"] == [("weights", "correlation")]


@pytest.mark.parametrize("missing", sorted(CHARTS["correlation"].needs))
def test_a_table_without_a_required_column_keeps_its_static_figure(missing):
    assert charts(result_of("correlation", pairs("a").drop(columns=missing))) == {}


def test_a_large_or_empty_table_keeps_its_static_figure(monkeypatch):
    result = result_of("correlation", pairs("a", "4" * 6))
    assert charts(result)
    monkeypatch.setattr(module, "ROWS", 14)
    assert charts(result) == {}
    assert charts(result_of("correlation", pairs("a").head(0))) == {}


def test_intervals_of_duplication_are_those_over_seeds():
    frame = pd.DataFrame(
        {
            "network": "a", "seed": [0, 1, 0, 0], "stage": ["4", "4", "8", "whole"], "version": "energy",
            "duplication": [0.4, 0.6, 0.5, float("nan")], "used": 3,
        }
    )  # fmt: skip
    spec = charts(result_of("duplication", frame))["duplication"]
    two_seeds, one_seed = spec["data"]["values"]
    assert two_seeds["mean"] == pytest.approx(0.5)
    assert (two_seeds["low"], two_seeds["high"]) == (0.0, 1.0)  # the line ends at the limits of the quantity
    assert two_seeds["within"] == f"{0.5 - 1.2706:.3f} to {0.5 + 1.2706:.3f}"
    assert (one_seed["low"], one_seed["within"]) == (None, "one seed, none")
    json.loads(as_json(spec))


def test_infinite_and_missing_values_of_the_flow_are_left_out():
    frame = pd.DataFrame(
        {
            "network": "a",
            "signal": ["x", "y"],
            "stage": "4",
            "role": "signal",
            "depth": [1, 2],
            "rms": [0.1, 0.0],
        }
    )
    spec = charts(result_of("flow", frame))["flow"]
    assert choices(spec) == {"quantity": ["rms"]}
    conditions = " ".join(step["filter"] for step in spec["transform"] if "filter" in step)
    assert "isFinite" in conditions
    assert "> 0" in conditions


def test_interactive_and_static_figures_have_the_same_colours_and_shapes():
    names = ["none", "csp γ=0.25", "csp γ=0.5", "mine"]
    frame = pd.DataFrame(
        {"network": names, "signal": "x", "stage": "4", "role": "signal", "depth": 1, "rms": 0.1}
    )
    result = result_of("flow", frame, strategy_of={name: name.split()[0] for name in names})
    *_, points = charts(result)["flow"]["layer"]
    styles = styles_in(result["flow"].frame)
    assert points["encoding"]["color"]["scale"] == {
        "domain": names,
        "range": ["#888888", *(styles[name].colour for name in names[1:])],
    }
    assert styles["csp γ=0.25"] == STRATEGIES["csp"]
    assert points["encoding"]["shape"]["scale"]["range"] == [SHAPES[styles[name].marker] for name in names]


def test_every_marker_has_a_shape():
    assert {style.marker for style in (*POSITIONS, *STRATEGIES.values())} == set(SHAPES)
