"""The wording of findings agrees with the numbers."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.results import Table
from gradlens.words.findings import finding_alone, finding_between
from gradlens.words.wording import Contrast, Outcome

NAN = math.nan


@pytest.fixture
def pair(hand, draw):
    recordings = []
    for name in ("ours", "theirs"):
        build = hand(network=name)
        build.gradient(draw(0, n=128))
        build.gradient(draw(1, n=128))
        recordings.append(build.recording())
    return recordings


def columns_of(metric, a, b, low, high, difference=None):
    values = {
        "a": a,
        "b": b,
        "difference": b - a if difference is None else difference,
        "low": low,
        "high": high,
    }
    return {f"{metric}_{part}": value for part, value in values.items()}


def between(pair, numbers, given_loss=(0.5, 0.3, -0.25, -0.15), similarity=None):
    """Word a comparison; the mean similarity has the same numbers unless others are passed."""
    row = {
        "stage": "whole",
        "m": 20,
        "m_given_loss": 19,
        **columns_of("rarefied_duplication", *numbers),
        **columns_of("mean_similarity", *(similarity or numbers)),
        **columns_of("rarefied_duplication_given_loss", *given_loss),
        **columns_of("mean_similarity_given_loss", *given_loss),
    }
    other = {**row, "stage": "4", "rarefied_duplication_a": NAN}
    return finding_between(*pair, Table("comparison", pd.DataFrame([other, row]), ""))


def test_less_duplication(pair):
    interval = "0.68 against 0.79, 95 % interval of the difference -0.15 to -0.07"
    given_loss = "0.30 against 0.50, 95 % interval of the difference -0.25 to -0.15"
    assert between(pair, (0.79, 0.68, -0.15, -0.07)) == (
        "theirs has less gradient duplication than ours, also given the loss. "
        f"In numbers: 0.11 less (D_20 {interval}; mean similarity {interval}). "
        f"Given the loss, 0.20 less (D_19 {given_loss}; mean similarity {given_loss})."
    )


@pytest.mark.parametrize(
    "similarity",
    [(0.2, 0.2, -0.1, 0.1), (0.1, 0.2, 0.05, 0.15)],
    ids=["no difference", "the opposite"],
)
def test_the_answer_depends_on_the_counting_if_the_mean_similarity_does_not_agree(pair, similarity):
    text = between(pair, (0.79, 0.68, -0.15, -0.07), similarity=similarity)
    assert text.startswith(
        "Whether theirs has less or more gradient duplication than ours depends on how layers are counted; given the "
        "loss, theirs has less. In numbers: it depends on how layers are counted (D_20 0.68 "
    )
    swapped = between(pair, similarity, similarity=(0.79, 0.68, -0.15, -0.07))
    assert "depends on how layers are counted" in swapped


def test_a_difference_that_two_digits_would_contradict_has_three(pair):
    """0.59 and 0.55 are 0.04 apart, their difference of -0.033 is not."""
    text = between(pair, (0.587, 0.554, -0.04, -0.026))
    assert (
        "In numbers: 0.033 less (D_20 0.554 against 0.587, 95 % interval of the difference -0.040 to -0.026;"
    ) in text


def test_a_clear_difference_that_rounds_to_zero_has_three_digits(pair):
    text = between(pair, (0.5, 0.498, -0.003, -0.001))
    assert text.startswith(
        "theirs has less gradient duplication than ours, also given the loss. In numbers: 0.002 l"
    )


def test_stored_weights_say_nothing_about_the_architecture(pair):
    stored = [recording.with_meta(stored_weights=True) for recording in pair]
    text = between(stored, (0.6, 0.55, -0.2, 0.1))
    assert text.endswith(" This is about these weights, not about the architecture.")  # of one seed
    mixed = between([pair[0], stored[1]], (0.6, 0.55, -0.2, 0.1))
    assert "This is about the weights of theirs, not" in mixed


def test_networks_with_different_live_signals_are_not_a_fair_comparison(hand, draw):
    """The finding repeats the first warning: lists of findings show no warnings."""
    recordings = []
    for name, dead in (("ours", 2), ("theirs", 0)):
        build = hand(network=name)
        for number in range(3):
            build.gradient(draw(number, n=128) * (number >= dead))
        recordings.append(build.recording())
    text = between(recordings, (0.79, 0.68, -0.15, -0.07))
    assert text.startswith(
        "Not a fair comparison: theirs has less gradient duplication than ours, also given the loss."
    )
    assert text.endswith(" It is not fair because 1 of 3 signals of ours are live and 3 of 3 of theirs.")


def test_too_few_samples_are_reported(hand, draw):
    build = hand()
    build.gradient(draw(0))
    build.gradient(draw(1))
    text = between([build.recording()] * 2, (0.79, 0.68, -0.15, -0.07))
    assert text.endswith(
        " Duplication is overestimated by up to about 0.10 with batches of 16 samples; use larger batches."
    )


def test_more_duplication(pair):
    text = between(pair, (0.5, 0.75, 0.1, 0.4), (0.2, 0.3, -0.1, 0.3))
    assert text.startswith(
        "theirs has more gradient duplication than ours; given the loss, the difference does not hold. "
        "In numbers: 0.25 more (D_20 0.75 against 0.50,"
    )
    assert "Given the loss, no difference beyond the noise between seeds (D_19 0.30 against 0.20," in text


def test_an_interval_that_contains_zero_is_no_difference(pair):
    for low, high in ((-0.2, 0.1), (0.0, 0.1), (-0.2, 0.0)):
        text = between(pair, (0.6, 0.55, low, high))
        assert text.startswith(
            "theirs and ours show no difference in gradient duplication beyond the noise between seeds; given the "
            "loss, theirs has less. "
        )


def test_identical_networks_have_no_difference_at_all(pair):
    text = between(pair, (0.6, 0.6, 0.0, 0.0), (0.3, 0.3, -0.0, 0.0))
    assert text == (
        "theirs and ours have exactly the same gradient duplication, also given the loss. In numbers: no difference at "
        "all (D_20 0.60 against 0.60; mean similarity 0.60 against 0.60). Given the loss, no difference at all (D_19 "
        "0.30 against 0.30; mean similarity 0.30 against 0.30)."
    )
    assert "beyond the noise between seeds" in between(pair, (0.6, 0.6, 0.0, 1e-12))


def test_zero_has_no_sign(pair):
    text = between(pair, (0.001, -0.001, -0.003, 0.002), (0.5, 0.4, -0.004, 0.1))
    assert "0.00 against 0.00, 95 % interval of the difference 0.00 to 0.00" in text
    assert "0.00 to +0.10" in text
    assert "-0.00" not in text
    assert "+0.00" not in text


def test_one_seed_is_reported_and_has_no_interval(pair):
    text = between(pair, (0.5, 0.4, NAN, NAN), (0.5, 0.4, NAN, NAN))
    assert "0.10 less" in text
    assert text.count("one seed, no interval") == 4
    assert text.startswith(
        "theirs and ours have no measured difference in gradient duplication, because one seed has"
    )


def test_one_seed_and_equal_values_are_neither_less_nor_more(pair):
    text = between(pair, (0.5, 0.5, NAN, NAN), (0.5, 0.5, NAN, NAN))
    assert "0.00 more" not in text
    assert "0.00 less" not in text
    assert "no difference" in text


@pytest.mark.parametrize(("a", "b", "name"), [(NAN, 0.5, "ours"), (0.5, NAN, "theirs")])
def test_networks_are_not_compared_if_one_has_no_number(pair, a, b, name):
    text = between(pair, (a, b, NAN, NAN))
    assert text.startswith(f"No comparison of duplication: {name}, ")
    assert "fewer than two of its" in text
    assert text.endswith("signals are live at this state.")


def test_an_undefined_value_given_the_loss_does_not_hide_the_rest(pair):
    text = between(pair, (0.5, 0.75, 0.1, 0.4), (NAN, NAN, NAN, NAN))
    assert "0.25 more" in text
    assert "; given the loss, they cannot be compared. In numbers" in text
    assert "Given the loss, the difference is not defined" in text
    assert "nan" not in text


def test_unpaired_seeds_still_make_a_sentence(pair):
    """Each network has a number in another seed only: two means, no difference."""
    text = between(pair, (0.5, 0.75, NAN, NAN, NAN))
    assert "has the difference is not defined" not in text
    assert "not defined" in text


@pytest.mark.parametrize(
    ("numbers", "clause"),
    [
        ((0.5, 0.4, NAN, NAN, NAN), "the difference is not defined"),
        ((0.4, 0.4, 0.0, 0.0, 0.0), "no difference at all"),
        ((0.5, 0.4, -0.1, -0.3, 0.1), "no difference beyond the noise between batches"),
        ((0.5, 0.4, -0.1, -0.3, -0.05, 0.2), "no difference that holds after Holm's correction"),
        ((0.5, 0.499, -0.001, -0.002, -0.0005), "no difference to two digits"),
        ((0.5, 0.4, -0.1, -0.3, -0.05, 0.01), "0.10 less"),
        ((0.4, 0.5, 0.1, NAN, NAN), "0.10 more"),
    ],
)
def test_an_outcome_has_one_wording(numbers, clause):
    contrast = Contrast(*numbers)
    assert contrast.clause("batches") == clause


def test_a_reversed_comparison_is_the_opposite():
    contrast = Contrast(0.5, 0.4, -0.1, -0.3, -0.05, 0.01)
    assert contrast.reversed() == Contrast(0.4, 0.5, 0.1, 0.05, 0.3, 0.01)
    assert contrast.reversed().outcome is Outcome.MORE


def alone(pair, rows):
    columns = ["stage", "mean_similarity", "mean_similarity_given_loss", "signals", "dead_signals"]
    frame = pd.DataFrame(rows, columns=columns).assign(m=3, rarefied_duplication=0.2, n_eff=2.51)
    return finding_alone(pair[0], Table("summary", frame, ""))


def test_alone_the_stage_with_the_most_similar_signals_is_named(pair):
    rows = [
        ("4", 0.3, 0.1, 4, 1),
        ("8", 0.9, 0.1, 3, 0),
        ("head", NAN, NAN, 1, 0),
        ("whole", 0.75, 0.4, 8, 2),
    ]
    assert alone(pair, rows) == (
        "ours: 2 of its 8 gradients are exactly zero, the other 6 count as 2.5 distinct ones, most alike in stage 8. "
        "Mean similarity of two 0.75, 0.90 in stage 8. Given the loss, it is 0.40. Duplication D_3 0.20."
    )


def test_alone_without_the_loss_and_without_stages(pair):
    text = alone(pair, [("whole", 0.5, NAN, 2, 0)])
    assert text == (
        "ours: the 2 gradients that reach its layers count as 2.5 distinct ones. Mean similarity of two 0.50. "
        "Duplication D_3 0.20."
    )


def test_alone_without_a_number(pair):
    text = alone(pair, [("whole", NAN, NAN, 2, 2)])
    assert text.startswith("ours: duplication is not defined here, fewer than two of its ")


def test_unwatched_signals_are_not_called_dead(pair):
    forks_only = replace(pair[0], plan=replace(pair[0].plan, signals=())).with_meta(sites="forks")
    frame = pd.DataFrame([{"stage": "whole", "mean_similarity": NAN}])
    text = finding_alone(forks_only, Table("summary", frame, ""))
    assert "no signals watched with sites=forks" in text
    assert "carry gradient" not in text


class Mixed(nn.Module):
    """A layer that reads the mean of the samples, so that its gradient has none."""

    def __init__(self):
        super().__init__()
        self.mix, self.head = nn.Linear(3, 3), nn.Linear(3, 4)

    def forward(self, x):
        return self.head(x * self.mix(x.mean(0, keepdim=True)).sigmoid())


def test_signals_whose_samples_cannot_be_told_are_not_called_dead():
    recording = gl.capture(Mixed(), [(torch.randn(8, 3), torch.arange(8) % 4)])
    finding = gl.analyze(recording).finding
    assert "the samples of 1 of its 2 signals cannot be told apart" in finding
    assert "live" not in finding
