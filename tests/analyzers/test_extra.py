"""Tables on request, and errors for data that a recording lacks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import gradlens as gl
from gradlens.analyzers import ANALYZERS, ON_REQUEST
from gradlens.analyzers.extra import Canonicals, Nulls
from gradlens.comparisons.summary import Summary
from gradlens.errors import GradlensError
from gradlens.metrics import canonical, split_half


@pytest.fixture(scope="module")
def recording():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.Conv2d(6, 6, 3), torch.nn.ReLU(),
            torch.nn.Flatten(), torch.nn.Linear(6 * 144, 10),
        )  # fmt: skip
        data = gl.load_data("digits", batch_size=12, batches=2, image_size=16, seed=0)
        return gl.capture(model, data, halves=True, costs=False)


def test_the_halves_hold_every_second_feature(recording):
    """Against the energies of the whole gradients."""
    assert recording.halves.shape == (3, 2, 12, 12)
    energies = np.trace(recording.halves, axis1=-2, axis2=-1)
    whole = recording.energies[list(recording.plan.signals)]
    assert (energies > 0).all()
    assert (energies < whole).all()
    assert energies[0] == pytest.approx(whole[0] / 2, rel=0.1)


def test_the_null_table_has_the_ceiling_and_the_p_value(recording):
    frame = Nulls(permutations=19)(recording).frame.set_index(["stage", "version"])
    row = frame.loc[("whole", "energy")]
    assert row["null_mean"] < row["null_high"]
    assert 0.05 <= row["p"] <= 1
    numbers = list(recording.plan.signals)
    assert row["ceiling"] == pytest.approx(split_half(recording.halves, recording.grams[numbers]).mean())
    assert 0 < frame.loc[("whole", "direction"), "ceiling"] <= 1
    given_loss = frame.loc[("whole", "energy given loss")]
    assert np.isnan(given_loss["ceiling"])
    assert given_loss["null_mean"] < given_loss["null_high"]
    alone = frame[frame["used"] < 2]
    assert len(alone)
    assert set(alone["reason"]) == {"fewer than two live signals"}


def test_canonical_correlations_are_means_over_batches(recording):
    frame = Canonicals(variance=0.5)(recording).frame
    a, b = (recording.grams[recording.plan.signals[index]] for index in (0, 1))
    expected = np.mean([canonical(x, y, 0.5).svcca for x, y in zip(a, b, strict=True)])
    assert frame["svcca"].iloc[0] == pytest.approx(expected)
    assert len(frame) == 3
    tight = Canonicals(variance=1.0)(recording).frame
    assert tight["svcca"].isna().all()
    assert tight["reason"].str.contains("need more than the 12 samples of a batch").all()


def test_canonical_correlations_are_not_means_over_the_batches_that_happen_to_have_some(hand, draw):
    """Both signals have one direction in the first batch, and too many in the second."""
    build = hand([(0, 0), (0, 1)])
    for number in (0, 1):
        gradients = draw(number, 2)
        gradients[0] = np.outer(gradients[0, :, 0], gradients[0, 0])
        build.gradient(gradients)
    recording = build.recording()
    assert np.isfinite(Canonicals()(recording.take([0])).frame["svcca"]).all()
    (row,) = Canonicals()(recording).frame.to_dict("records")
    assert np.isnan([row[name] for name in ("svcca", "pwcca", "svcca_reach", "pwcca_reach")]).all()
    assert f"{row['directions_a']} and {row['directions_b']} directions need more than" in row["reason"]


def test_halves_survive_saving_merging_and_taking(recording, tmp_path):
    loaded = gl.Recording.load(recording.save(tmp_path / "r.safetensors"))
    assert np.array_equal(loaded.halves, recording.halves)
    first, second = recording.take([0]), recording.take([1])
    assert np.array_equal(first.merge(second).halves, recording.halves)
    assert first.halves.shape[1] == 1


def test_every_analyzer_works_on_a_loaded_recording(recording, tmp_path):
    loaded = gl.Recording.load(recording.save(tmp_path / "r.safetensors"))
    for name, analyzer in {**ANALYZERS, **ON_REQUEST}.items():
        direct, reloaded = analyzer(recording), analyzer(loaded)
        assert (direct is None) == (reloaded is None), name
        if direct is not None:
            assert direct.frame.equals(reloaded.frame), name


@pytest.mark.parametrize("name", ["noise", "reuse", "readers"])
def test_missing_weight_space_is_one_clear_error(recording, name):
    with pytest.raises(
        GradlensError, match="recorded without weight space; capture again with space='weights'"
    ):
        gl.analyze(recording, tables=[name])


def test_missing_costs_are_reported(recording):
    with pytest.raises(GradlensError, match="holds no costs; capture again with costs=True"):
        gl.analyze(recording, tables=["cost"])


def test_tables_are_chosen_by_name(recording):
    assert list(gl.analyze(recording, tables=["flow", "canonical"]).tables) == [
        "summary",
        "flow",
        "canonical",
    ]
    assert list(gl.analyze(recording, extra=["null"]).tables)[-1] == "null"
    with pytest.raises(GradlensError, match=r"no table 'flwo'.*did you mean flow"):
        gl.analyze(recording, tables=["flwo"])


def test_halves_are_refused_in_weight_space():
    with pytest.raises(GradlensError, match="halves=True needs signals at the outputs of layers"):
        gl.capture(torch.nn.Linear(2, 2), [], space="weights", halves=True)


def test_a_network_without_readers_is_not_reported_as_the_wrong_space():
    data = [(torch.randn(6, 4), torch.randint(0, 3, (6,)))]
    recording = gl.capture(torch.nn.Linear(4, 3), data, space="weights", costs=False)
    with pytest.raises(GradlensError, match="is of a network without such a source"):
        gl.analyze(recording, tables=["reuse"])


def test_the_summary_of_one_network_has_intervals_over_seeds(recording):
    seeds = [recording.take([index]) for index in (0, 1)]
    merged = replace(seeds[0], replicates=((0, 0),)).merge(replace(seeds[1], replicates=((1, 0),)))
    row = Summary()(merged).frame.set_index("stage").loc["whole"]
    assert row["rarefied_duplication_low"] < row["rarefied_duplication"] < row["rarefied_duplication_high"]
    assert np.isnan(Summary()(recording).frame["rarefied_duplication_low"]).all()
