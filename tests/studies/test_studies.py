"""compare and inspect, end to end on small real networks."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
import torch

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.catalogue import Need, about
from gradlens.errors import GradlensError

ANYWHERE = [
    name for name in ANALYZERS if not {Need.WEIGHTS, Need.STEPS, Need.LOSSES} & set(about(name).needs)
]
TINY = {"data": "random", "image_size": 32, "batch_size": 8, "batches": 2, "seeds": 2}
NETWORKS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, joined):
        super().__init__()
        self.joined = joined
        self.stem = nn.Conv2d(3, 6, 3, stride=4, padding=1)
        self.inner = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.down = nn.Conv2d(12 if joined else 6, 8, 3, stride=2, padding=1)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        y = self.inner(x)
        x = torch.cat([x, y], dim=1) if self.joined else x + y
        return self.fc(torch.tanh(self.down(x)).mean((2, 3)))


def adds(num_classes):
    return Net(num_classes, False)


def joins(num_classes):
    return Net(num_classes, True)
"""


@pytest.fixture
def name_of(tmp_path):
    (tmp_path / "networks.py").write_text(NETWORKS)
    return lambda factory: f"{tmp_path / 'networks.py'}:{factory}"


@pytest.fixture
def compared(name_of):
    return gl.compare(name_of("adds"), name_of("joins"), **TINY)


def states():
    name, keys, *rest = np.random.get_state()
    return torch.get_rng_state().tolist(), (name, keys.tolist(), *rest), random.getstate()


def untimed_warnings(result):
    return [warning for warning in result.warnings if "the measured speed" not in warning]


def test_the_same_command_twice_gives_the_same_tables(compared, name_of):
    again = gl.compare(name_of("adds"), name_of("joins"), **TINY)
    assert list(again.tables) == list(compared.tables)
    for name, table in compared.tables.items():
        assert table.reproducible == (name != "throughput")
        if table.reproducible:
            pd.testing.assert_frame_equal(again[name].frame, table.frame, check_exact=True)
    assert (again.finding, dict(again.meta)) == (compared.finding, dict(compared.meta))
    assert untimed_warnings(again) == untimed_warnings(compared)


def test_the_comparison_comes_first_and_every_table_has_its_name_and_both_networks(compared, name_of):
    assert list(compared.tables) == ["comparison", *ANYWHERE, "cross"]
    for name, table in compared.tables.items():
        assert table.name == name
        if name == "cross":
            assert set(table.frame["network_a"]) | set(table.frame["network_b"]) == {
                compared.meta["a"],
                compared.meta["b"],
            }
        elif name != "comparison":
            assert list(dict.fromkeys(table.frame.network)) == [name_of("adds"), name_of("joins")]
    assert compared["comparison"].frame.stage.tolist() == ["4", "8", "head", "whole"]


def test_the_sums_of_contributions_are_exact(compared):
    frame = compared["exactness"].frame
    assert len(frame) == 2
    assert (frame.error == 0).all()
    assert (frame.projected_error < 1e-5).all()


def test_the_result_holds_its_provenance(compared, name_of):
    meta = compared.meta
    assert (meta["kind"], meta["a"], meta["b"], meta["seeds"]) == (
        "compare",
        name_of("adds"),
        name_of("joins"),
        [0, 1],
    )
    assert {name: meta["study"][name] for name in TINY} == TINY
    assert [identity["seed"] for identity in meta["data_identity"]] == [0, 1]
    assert meta["model_b"]["name"] == name_of("joins")
    assert "partial" not in meta


def test_a_comparison_is_saved_and_read_again(compared, tmp_path):
    again = gl.load(compared.save(tmp_path / "run"))
    for name, table in compared.tables.items():
        pd.testing.assert_frame_equal(again[name].frame, table.frame, check_exact=True)
    assert again.finding == compared.finding


def test_every_table_with_a_plot_draws_itself(compared):
    from gradlens.plots import PLOTS

    for name in set(PLOTS) & set(compared.tables):
        assert compared[name].plot().figure is not None


def test_inspecting_one_network_gives_its_rows_of_the_comparison(compared, name_of):
    alone = gl.inspect(name_of("joins"), **TINY)
    assert list(alone.tables) == ["summary", *ANYWHERE]
    for name in ("duplication", "correlation", "branches", "shares", "flow", "cost", "exactness"):
        frame = compared[name].frame
        rows = frame[frame.network == name_of("joins")].reset_index(drop=True)
        common = [
            column
            for column in rows
            if column in alone[name].frame and "rarefied" not in column and column != "m"
        ]
        pd.testing.assert_frame_equal(alone[name].frame[common], rows[common], check_exact=True)
    assert not {"duplication", "duplication_reach"} & set(compared["duplication"].frame)
    assert (alone.meta["kind"], alone.meta["a"]) == ("inspect", name_of("joins"))


def test_the_comparison_agrees_with_the_other_tables(compared, name_of):
    row = compared["comparison"].frame.set_index("stage").loc["4"]
    frame = compared["duplication"].frame
    rows = frame[(frame.network == name_of("adds")) & (frame.stage == "4") & (frame.version == "energy")]
    assert len(rows) == 2
    assert row.rarefied_duplication_a == pytest.approx(rows.rarefied_duplication.mean())
    costs = compared["cost"].frame.set_index(["network", "stage"])
    assert row.flops_b == costs.flops[name_of("joins"), "4"]


def test_three_networks_are_each_compared_with_the_first(name_of, compared, tmp_path):
    names = [name_of("adds"), name_of("joins"), name_of("adds")]
    result = gl.compare(*names, **TINY, throughput=False)
    labels = [f"{names[0]} [1]", names[1], f"{names[0]} [3]"]
    assert list(result.tables)[:2] == ["networks", "contrasts"]
    assert "comparison" not in result.tables
    assert (result.meta["kind"], result.meta["a"], result.meta["networks"]) == ("compare", labels[0], labels)
    assert {label: meta["name"] for label, meta in result.meta["models"].items()} == dict(
        zip(labels, names, strict=True)
    )
    frame = result["contrasts"].frame
    contrasts = frame[(frame.stage == "whole") & (frame.metric == "rarefied_duplication")].set_index("b")
    pair = compared["comparison"].frame.set_index("stage").loc["whole"]
    assert contrasts.difference[labels[1]] == pytest.approx(pair.rarefied_duplication_difference)
    assert (contrasts.low[labels[1]], contrasts.high[labels[1]]) == pytest.approx(
        (pair.rarefied_duplication_low, pair.rarefied_duplication_high)
    )
    assert contrasts.difference[labels[2]] == 0
    assert list(dict.fromkeys(result["duplication"].frame.network)) == labels
    again = gl.load(result.save(tmp_path / "run"))
    assert dict(again.meta) == dict(result.meta)
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(again[name].frame, table.frame, check_exact=True)


def test_checkpoints_that_do_not_match_the_networks_are_refused():
    with pytest.raises(GradlensError, match="2 checkpoints for 3 networks; give one for each"):
        gl.compare("a", "b", "c", checkpoint=(None, None))


def test_a_network_against_itself_has_two_labels_and_no_difference(name_of):
    result = gl.compare(name_of("adds"), name_of("adds"), **TINY, throughput=False)
    assert result.meta["a"] != result.meta["b"]
    frame = result["comparison"].frame
    differences = frame.filter(like="_difference")
    assert (differences.fillna(0) == 0).all(axis=None)
    assert differences.loc[frame.stage == "whole", "rarefied_duplication_difference"].notna().all()
    assert "have exactly the same gradient duplication" in result.finding
    assert not any(
        "not a fair comparison" in text or "also differ in size" in text for text in result.warnings
    )


def test_a_network_against_itself_with_one_seed_is_not_more(name_of):
    result = gl.compare(name_of("adds"), name_of("adds"), **{**TINY, "seeds": 1}, throughput=False)
    assert "0.00 more" not in result.finding
    assert "0.00 less" not in result.finding


def test_the_global_random_states_are_untouched(name_of):
    before = states()
    gl.compare(name_of("adds"), name_of("joins"), **{**TINY, "data": "digits"}, warmup_steps=2)
    assert states() == before


def test_an_interrupted_comparison_equals_a_shorter_one(name_of):
    def interrupt(what, done, total):
        if done == 5:  # seed 0: three batches of the first network, two of the second
            raise KeyboardInterrupt

    long = {**TINY, "batches": 3, "throughput": False}
    kept = gl.compare(name_of("adds"), name_of("joins"), progress=interrupt, **long)
    short = gl.compare(name_of("adds"), name_of("joins"), **{**long, "batches": 2, "seeds": 1})
    for name in ("duplication", "correlation", "branches", "shares", "flow", "exactness"):
        pd.testing.assert_frame_equal(kept[name].frame, short[name].frame, check_exact=True)
    assert kept.meta["partial"] is True
    assert kept.meta["seeds"] == [0]
    assert kept.finding == f"Partial (2 of 6 batches, then interrupted): {short.finding}"


def test_an_interrupt_before_anything_can_be_compared_is_raised(name_of):
    def interrupt(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gl.compare(name_of("adds"), name_of("joins"), progress=interrupt, **TINY)


@pytest.mark.parametrize("run", [lambda **o: gl.compare("a", "b", **o), lambda **o: gl.inspect("a", **o)])
def test_an_unknown_option_is_refused(run):
    with pytest.raises(
        GradlensError, match=r"unknown option 'batch'; use one of data, image_size, batch_size"
    ):
        run(batch=3)
    with pytest.raises(GradlensError, match="seeds=0; use at least 1"):
        run(seeds=0)


def test_zero_initialised_signals_are_dead_and_reported():
    options = {**TINY, "seeds": 1, "zero_init": True}
    result = gl.compare("resnet10t", "resnet10t", **options, throughput=False)
    assert result.warnings[-1].startswith(
        "gains that the library initialises with zero are kept in resnet10t [1],"
    )
    whole = result["comparison"].frame.set_index("stage").loc["whole"]
    assert whole.dead_signals_a == whole.dead_signals_b == 8  # two of four blocks' convolutions each
    flow = result["flow"].frame
    assert flow.dead.sum() == 16
    assert np.isfinite(whole.rarefied_duplication_a)
    assert any("8 of 15 signals are dead" in text for text in result.warnings)
    assert result["correlation"].frame.energy.notna().any()


@pytest.mark.parametrize("options", [{"warmup_steps": 10, "zero_init": True}, {}])
@pytest.mark.parametrize("network", ["resnet10t", "resnet18"])
def test_warm_up_or_a_gain_of_one_revives_dead_signals(network, options):
    result = gl.inspect(network, **{**TINY, "data": "digits", "seeds": 1}, **options, throughput=False)
    whole = result["summary"].frame.set_index("stage").loc["whole"]
    assert whole.dead_signals == 0
    assert not result["flow"].frame.dead.any()
    assert result["correlation"].frame.energy.notna().all()
    assert not any("dead" in text for text in result.warnings)


def test_warm_up_works_on_noise_too():
    result = gl.inspect(
        "resnet10t", **{**TINY, "seeds": 1}, warmup_steps=10, zero_init=True, throughput=False
    )
    assert result["summary"].frame.dead_signals.max() == 0


def test_a_dead_network_against_a_live_one_is_no_fair_comparison(name_of):
    result = gl.compare(
        "resnet10t", name_of("adds"), **{**TINY, "seeds": 1}, zero_init=True, throughput=False
    )
    assert result.warnings[0].startswith(
        "not a fair comparison: 7 of 15 signals of resnet10t are live and 4 of 4 of"
    )


def test_the_loss_of_a_warm_up_stands_beside_the_numbers(name_of):
    result = gl.compare(name_of("adds"), name_of("joins"), **TINY, warmup_steps=2, throughput=False)
    for key in ("model_a", "model_b"):
        losses = result.meta[key]["warmup_losses"]
        assert len(losses) == len(result.meta["seeds"])
        assert all(loss > 0 for pair in losses for loss in pair)
    told = [text for text in result.warnings if "the training loss went from" in text]
    assert len(told) == 2
    cold = gl.inspect(name_of("adds"), **TINY, throughput=False)
    assert not [text for text in cold.warnings if "loss went" in text]
