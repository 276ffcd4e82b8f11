"""The effect of a strategy's transitions and that of its cut."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

import gradlens as gl
from gradlens.catalogue import names
from gradlens.metrics import holm
from gradlens.models import cspify, load_model
from gradlens.studies.strategies import control_by_label, variants
from gradlens.studies.subjects import subjects

(NET,) = subjects(["net"], [None])

SMALL = {"seeds": 3, "batches": 1, "batch_size": 16, "image_size": 32, "throughput": False, "progress": False}
LABEL = "csp, transitions only"
SHARED = "fusion_first/fusion_last, transitions only"


@pytest.fixture(scope="module")
def measured(network) -> gl.Result:
    return gl.strategies(
        network, strategies=["none", "fusion_first", "fusion_last", "csp", "no_fusion"], **SMALL
    )


def seeds_of(result: gl.Result, network: str) -> np.ndarray:
    """Duplication of the whole network by seed, from the table of one network."""
    rows = result["duplication"].frame.query("stage == 'whole' and version == 'energy'")
    return rows[rows["network"] == network].sort_values("seed")["rarefied_duplication"].to_numpy()


def effect(result: gl.Result, strategy: str, part: str):
    rows = result["effects"].frame.query("stage == 'whole' and metric == 'rarefied_duplication'")
    return rows[(rows["strategy"] == strategy) & (rows["effect"] == part)].iloc[0]


def test_the_effects_of_transitions_and_cut_add_up_to_the_total(measured):
    frame = measured["effects"].frame
    wide = frame.pivot_table(
        index=["strategy", "stage", "metric"], columns="effect", values="difference"
    ).dropna()
    assert len(wide) > 10
    np.testing.assert_allclose(wide["transitions"] + wide["cut"], wide["total"], atol=1e-12)


@pytest.mark.parametrize(
    ("strategy", "part", "a", "b"),
    [
        ("csp", "total", "none", "csp"),
        ("csp", "transitions", "none", LABEL),
        ("csp", "cut", LABEL, "csp"),
        ("fusion_first", "cut", SHARED, "fusion_first"),
        ("fusion_last", "transitions", "none", SHARED),
    ],
)
def test_an_effect_is_the_paired_difference_of_two_networks_over_seeds(measured, strategy, part, a, b):
    row = effect(measured, strategy, part)
    assert (row["a"], row["b"]) == (a, b)
    differences = seeds_of(measured, b) - seeds_of(measured, a)
    test = scipy.stats.ttest_1samp(differences, 0)
    interval = test.confidence_interval(0.95)
    got = [row[name] for name in ("difference", "low", "high", "p")]
    np.testing.assert_allclose(got, [differences.mean(), interval.low, interval.high, test.pvalue], rtol=1e-9)


def test_p_is_corrected_over_the_whole_table_with_shared_differences_counted_once(measured):
    frame = measured["effects"].frame
    once = frame.drop_duplicates(["stage", "metric", "a", "b"])
    assert len(once) < len(frame)
    np.testing.assert_allclose(once["p_holm"], holm(once["p"].to_list()))


def test_every_tested_quantity_has_its_effect(measured):
    assert set(measured["effects"].frame["metric"]) <= set(names(tested=True))
    assert next(iter(measured.tables)) == "effects"


def test_a_strategy_without_transitions_has_no_control(measured):
    assert "no_fusion" not in set(measured["effects"].frame["strategy"])
    assert "no_fusion" not in measured.meta["controls"]


def test_controls_can_be_left_out(network):
    result = gl.strategies(network, strategies=["none", "csp"], controls=False, **{**SMALL, "seeds": 1})
    assert "effects" not in result.tables
    assert set(result["strategies"].frame["network"]) == {"none", "csp"}


def test_without_the_baseline_only_the_effect_of_the_cut_is_known(network):
    result = gl.strategies(network, strategies=["csp", "fusion_last"], **{**SMALL, "seeds": 2})
    assert set(result["effects"].frame["effect"]) == {"cut"}


def test_one_seed_has_an_effect_over_batches(network):
    result = gl.strategies(network, strategies=["none", "csp"], **{**SMALL, "seeds": 1, "batches": 4})
    row = effect(result, "csp", "cut")
    assert row["p"] <= row["p_holm"]
    assert row["low"] < row["high"]


@pytest.mark.parametrize(
    ("strategies", "gammas", "labels"),
    [
        (["none", "csp"], [0.5], {"csp": LABEL}),
        (["fusion_last"], [0.5], {"fusion_last": "fusion_last, transitions only"}),
        (["fusion_first", "fusion_last"], [0.5], {"fusion_first": SHARED, "fusion_last": SHARED}),
        (["csp"], [0.25, 0.5], {"csp γ=0.25": LABEL, "csp γ=0.5": LABEL}),
        (["csp"], [0, 0.5], {"csp γ=0.5": LABEL}),
        (["none"], [0.5], {}),
    ],
)
def test_strategies_with_the_same_transitions_share_a_control(strategies, gammas, labels):
    networks = variants(NET, strategies, gammas, ["split"])
    controls = control_by_label(networks)
    assert {label: control.label for label, control in controls.items()} == labels
    assert all(control.spec.csp.gamma == 0 for control in controls.values())


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "peleenet_small", "darknet17"])
@pytest.mark.parametrize("strategy", ["fusion_first", "fusion_last", "csp"])
def test_without_a_cut_the_stages_keep_their_blocks_and_gain_only_transitions(name, strategy):
    network = load_model(name, num_classes=10, image_size=64, seed=0).eval()
    control = cspify(network, strategy, gamma=0, image_size=64, seed=1).eval()
    image = torch.randn(2, 3, 64, 64)
    assert control(image).shape == network(image).shape
    own = {path: tensor.shape for path, tensor in network.named_parameters() if "transition" not in path}
    kept = [tensor.shape for path, tensor in control.named_parameters() if ".transition." not in path]
    assert sorted(own.values()) == sorted(kept)
    stages = [module for module in control.modules() if type(module).__name__ == "CspStage"]
    convolutions = {"fusion_first": 1, "fusion_last": 1, "csp": 2}[strategy]
    for stage in stages:
        layers = [layer for layer in stage.transition.modules() if isinstance(layer, torch.nn.Conv2d)]
        assert [layer.kernel_size for layer in layers] == [(1, 1)] * convolutions


def test_fusion_first_and_last_without_a_cut_are_the_same_network():
    first, last = (
        load_model(f"resnet18@{name},gamma=0", num_classes=10, seed=3)
        for name in ("fusion_first", "fusion_last")
    )
    image = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(first(image), last(image), rtol=0, atol=0)


def test_the_control_is_the_limit_of_a_narrow_bypass():
    """One channel of many bypasses the block: nearly nothing is cut, so duplication is nearly that of the control."""
    options = {**SMALL, "batches": 2}
    values = [
        gl.inspect(name, **options)["summary"].frame.query("stage == 'whole'")["mean_similarity"].iloc[0]
        for name in ("resnet10t@csp,gamma=0", "resnet10t@csp,gamma=0.001", "resnet10t")
    ]
    assert abs(values[0] - values[1]) < abs(values[0] - values[2])


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (["resnet10t@csp"], True),
        (["resnet10t@fusion_last,gamma=0.25"], True),
        (["resnet10t@csp", "resnet10t@csp,gamma=0"], False),
        (["resnet10t@no_fusion"], False),
        (["resnet18@csp"], False),
    ],
)
def test_compare_says_that_the_control_exists(others, said):
    result = gl.compare("resnet10t", *others, **{**SMALL, "seeds": 1})
    notes = [text for text in result.warnings if "has the transitions without the cut" in text]
    assert len(notes) == said
    assert all(f"{others[0].partition(',')[0]},gamma=0" in note for note in notes)


def test_training_with_dropout_is_the_same_twice(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n\n\ndef make(num_classes):\n"
        "    block = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 4, 3), nn.ReLU())\n"
        "    return nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))\n"
    )
    options = {**SMALL, "seeds": 1, "training": gl.Training(steps=3, snapshots=1, evaluate=True)}
    runs = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        runs.append(gl.strategies(f"{path}:make", strategies=["none"], **options)["trajectory"].frame)
    np.testing.assert_array_equal(runs[0]["loss"], runs[1]["loss"])
