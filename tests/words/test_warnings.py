"""Each warning appears for its reason, and not without it."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from gradlens.words.warnings import warnings_alone, warnings_between, warnings_of_training


def test_a_sound_recording_gives_no_warning(sound):
    assert list(warnings_alone(sound())) == []
    assert list(warnings_between(sound("a"), sound("b"))) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"dead": 2},
            r"a: 2 of 5 signals are dead \(exactly zero\) .*warmup_steps=10 or zero_init=False",
        ),
        ({"lost": 1}, "a: 1 of 4 signals have no axis that holds the samples"),
        ({"forked": False}, "a: no forks and no partial splits"),
        (
            {"batches": 1, "n": 16},
            "a: D of 3 signals is biased upwards by up to about 0.01, .*16 samples; use batch_size=32",
        ),
        ({"loss": False}, "a: there are no numbers given the loss: the loss signal was not recorded"),
        ({"count": 1}, "one seed: intervals are over its batches .*seeds=3 or more"),
        ({"count": 1, "batches": 2, "n": 64}, "one seed: no interval"),
    ],
)
def test_each_limit_has_its_warning(sound, options, message):
    (warning,) = warnings_alone(sound(**options))
    assert re.search(message, warning), warning


def test_batches_of_the_caller_are_given_not_set_by_an_option(sound):
    (warning,) = warnings_alone(sound(batches=1, n=16).with_meta(own_batches=True))
    assert "; give batches of 32 samples. " in warning
    assert "batch_size" not in warning


@pytest.mark.parametrize(("speeds", "count"), [([10.0, 14.9], 0), ([10.0, 15.1], 1)])
def test_a_varying_speed_is_reported(sound, speeds, count):
    recording = replace(sound(), throughput={"forward": speeds})
    assert sum("varies" in text for text in warnings_alone(recording)) == count


@pytest.mark.parametrize(("batches", "n", "count"), [(8, 16, 0), (2, 32, 0), (4, 8, 1), (16, 5, 1)])
def test_small_batches_are_reported_because_duplication_is_biased(sound, batches, n, count):
    assert len(list(warnings_alone(sound(batches=batches, n=n)))) == count


def test_dead_signals_in_only_one_network_are_not_a_fair_comparison(sound):
    unfair = "not a fair comparison: 3 of {} signals of a are live and 3 of {} of b"
    for first, second, name in ((1, 0, "a"), (0, 1, "b")):
        warnings = list(warnings_between(sound("a", dead=first), sound("b", dead=second)))
        assert warnings[0].startswith(unfair.format(3 + first, 3 + second))
        assert any(text.startswith(f"{name}: 1 of 4 signals are dead") for text in warnings)
    assert "use warmup_steps=10 or zero_init=False" in warnings[0]
    live = [sound(name, dead=dead).with_meta(zero_init=False) for name, dead in (("a", 1), ("b", 0))]
    assert next(warnings_between(*live)).endswith("different kinds of layers; use warmup_steps=10")
    unequal = list(warnings_between(sound("a", dead=1), sound("b", dead=2)))
    assert unequal[0].startswith(unfair.format(4, 5))


def test_equal_numbers_of_dead_signals_are_a_fair_comparison(sound):
    both = list(warnings_between(sound("a", dead=1), sound("b", dead=1)))
    assert [text[:25] for text in both] == [f"{name}: 1 of 4 signals are dead"[:25] for name in "ab"]


def test_different_modes_are_not_a_fair_comparison(sound):
    a, b = sound("a"), sound("b")
    (warning,) = warnings_between(a, replace(b, meta={**b.meta, "mode": "eval"}))
    assert warning == "not a fair comparison: a in train mode, b in eval"


def test_different_samples_are_not_a_fair_comparison(sound):
    (warning,) = warnings_between(sound("a", batches=8), sound("b", batches=9))
    assert warning == "not a fair comparison: 384 samples for a, 432 for b"
    warnings = list(warnings_between(sound("a", batches=8, n=32), sound("b", batches=16, n=16)))
    assert warnings == ["not a fair comparison: 768 samples for a, 768 for b"]


def test_different_states_of_different_networks_are_not_a_fair_comparison(sound):
    stored = sound("a").with_meta(stored_weights=True)
    (warning, *_) = warnings_between(stored, sound("b", signals=4))
    assert warning.startswith(
        "not a fair comparison: the weights of a are from a file and those of b are fresh"
    )
    (reverse, *_) = warnings_between(sound("b", signals=4), stored)
    assert reverse == warning
    (steps, *_) = warnings_between(sound("a").with_meta(warmup_steps=10), sound("b", signals=4))
    assert steps == ("not a fair comparison: a after 10 warm-up steps, b after 0; use equal warmup_steps=")
    both = (sound(name, signals=count).with_meta(stored_weights=True) for name, count in (("a", 3), ("b", 4)))
    assert not any("fair" in text for text in warnings_between(*both))


def test_a_network_before_and_after_a_training_is_a_fair_comparison(sound):
    trained = sound("after").with_meta(stored_weights=True, warmup_steps=10)
    assert not any("fair" in text for text in warnings_between(sound("before"), trained))


def test_other_differences_are_listed(sound):
    (warning,) = warnings_between(
        sound("a", parameters=2_000_000, flops=4e9), sound("b", parameters=1_500_000, signals=4)
    )
    assert warning.startswith("a and b also differ in size")
    for part in (
        "3 and 4 weighted layers",
        "2.00\u202fM and 1.50\u202fM parameters",
        "2.00\u202fG and 4 FLOPs per image",
    ):
        assert part in warning


def test_uncounted_costs_are_no_difference(sound):
    a = sound("a", parameters=5)
    assert list(warnings_between(replace(a, costs=None), sound("b"))) == []


def test_a_limit_of_both_networks_is_reported_once(sound):
    warnings = list(warnings_between(sound("a", count=1), sound("b", count=1)))
    assert len(warnings) == 1


def test_a_limit_of_the_second_network_is_reported(sound):
    """The first is sound, the batches of the second are too small."""
    warnings = list(warnings_between(sound("a", batches=8), sound("b", batches=1)))
    assert any(text.startswith("b: D of 3 signals is biased upwards") for text in warnings)


def test_a_warm_up_to_a_loss_has_its_steps_and_the_seeds_that_did_not_reach_it(sound):
    meta = {"warmup_steps": 90, "warmup_loss": 1.5, "warmup_steps_taken": [12, 90]}
    first, second = warnings_alone(sound().with_meta(warmup_losses=[[2.6, 1.4], [2.5, 2.0]], **meta))
    assert "went from 2.55 to 1.70 in 12–90 warm-up steps" in first
    assert "networks at different losses" not in first
    assert "warm-up of 1 of 2 seeds did not reach the training loss 1.5" in second


def test_a_training_whose_loss_rose_is_reported():
    rows = [
        ("a", 0, 0, 2.0),
        ("a", 0, 9, 1.0),
        ("a", 1, 0, 2.0),
        ("a", 1, 9, 14.0),
        ("b", 0, 0, 2.0),
        ("b", 0, 9, 1.0),
    ]
    frame = pd.DataFrame(rows, columns=["network", "seed", "step", "train_loss"])
    (text,) = warnings_of_training(frame)
    assert text.startswith("a: the training loss rose in 1 of 2 seeds (to 14.00)")


@pytest.mark.parametrize(("losses", "count"), [([[2.6, 2.1], [2.5, 2.0]], 1), ([[2.6, 13.9], [2.5, 2.0]], 2)])
def test_a_loss_that_rises_during_the_warm_up_is_reported(sound, losses, count):
    warnings = list(warnings_alone(sound().with_meta(warmup_losses=losses, warmup_steps=20)))
    assert len(warnings) == count
    assert "in 20 warm-up steps" in warnings[0]
    assert ("rose during the warm-up of 1 of 2 seeds (to 13.90)" in warnings[-1]) == (count == 2)
