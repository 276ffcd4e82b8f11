"""Signals that are left out: how many, why, and what to do; nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gradlens.recording import Recording
from gradlens.recording.causes import (
    CANCELLED,
    FACTOR,
    INPUT,
    OTHER,
    SHUT,
    UNREACHED,
    ZERO_GAIN,
    ZERO_SCALE,
    ZERO_WEIGHT,
)
from gradlens.words.missing import dead_signals, missing_signals

Factory = Callable[..., Recording]


def with_causes(recording: Recording, *kinds: tuple[str, str], **meta: Any) -> Recording:
    """Return a recording in which each dead signal has the cause at its position."""
    dead = [signal for signal in recording.signals if not recording.grams[signal.number].any()]
    causes = {signal.name: [list(kind)] for signal, kind in zip(dead, kinds, strict=True)}
    return recording.with_meta(dead_causes=causes, **meta)


def test_a_sound_recording_misses_nothing(sound: Factory) -> None:
    assert list(missing_signals(sound())) == []


def test_a_signal_is_dead_only_if_it_is_zero_in_every_replicate(sound: Factory) -> None:
    recording = sound(dead=1)
    recording.grams[3, -1, 0, 0] = 1e-30
    assert dead_signals(recording) == 0


def test_lost_signals_are_not_dead(sound: Factory) -> None:
    assert dead_signals(sound(dead=2, lost=1)) == 2


def test_old_recordings_do_not_guess(sound: Factory) -> None:
    (text,) = missing_signals(sound(dead=1))
    assert text == (
        "a: 1 of 4 signals are dead (exactly zero) and are left out of similarities; warmup_steps=10 or "
        "zero_init=False shows whether they stay zero"
    )


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ZERO_GAIN, ": 1 behind 1 normalisation with a gain of zero (x)"),
        (ZERO_SCALE, ": 1 multiplied by 1 scale of zero (x)"),
        (ZERO_WEIGHT, ": 1 behind 1 layer with a weight of zero (x)"),
        (SHUT, ": 1 behind 1 activation shut for all samples (x)"),
        (UNREACHED, ": 1 not read by the loss ({})"),
        (INPUT, ": 1 with an input of zero (x)"),
        (OTHER, ": 1 zero from 1 operation on (x)"),
        (FACTOR, ": 1 multiplied by zeros at 1 product (x)"),
        (CANCELLED, ": 1 cancelled at 1 sum (x)"),
        ("a kind of a newer version", ": 1 zero from 1 operation on (x)"),
    ],
)
def test_each_cause_has_its_words(sound: Factory, kind: str, reason: str) -> None:
    recording = with_causes(sound(dead=1), (kind, "x"))
    (text,) = missing_signals(recording)
    dead = next(name for name in recording.provenance.dead_causes)
    assert reason.format(dead) in text


def test_up_to_three_layers_are_named_for_each_cause(sound: Factory) -> None:
    gains = [(ZERO_GAIN, f"bn{number}") for number in (1, 2, 3, 4, 4)]
    (text,) = missing_signals(with_causes(sound(dead=6), *gains, (SHUT, "act")))
    assert (
        ": 5 behind 4 normalisations with a gain of zero (bn1, bn2, bn3, ...), 1 behind 1 activation" in text
    )
    (text,) = missing_signals(with_causes(sound(dead=3), *gains[:3]))
    assert "(bn1, bn2, bn3);" in text


def test_causes_of_signals_that_are_live_in_another_seed_are_left_out(sound: Factory) -> None:
    recording = with_causes(sound(dead=2), (SHUT, "x"), (SHUT, "y"))
    recording.grams[3, -1] = 1.0
    (text,) = missing_signals(recording)
    assert "1 of 5 signals are dead" in text
    assert "1 behind 1 activation shut for all samples (y)" in text


def test_a_signal_without_a_cause_is_counted(sound: Factory) -> None:
    recording = sound(dead=2)
    name = recording.signals[-1].name
    (text,) = missing_signals(recording.with_meta(dead_causes={name: [[SHUT, "act"]]}))
    assert "(act), 1 for a reason that is not known" in text


@pytest.mark.parametrize(
    ("kind", "meta", "advice"),
    [
        (
            ZERO_GAIN,
            {"zero_init": True, "zero_gains": ["x.weight"]},
            "; zero_init=False sets such gains to one",
        ),
        (ZERO_SCALE, {"zero_init": True, "zero_gains": ["x"]}, "; zero_init=False sets such gains to one"),
        (ZERO_SCALE, {"zero_init": True}, "; warmup_steps=10 shows whether training revives them"),
        (ZERO_GAIN, {}, "; gl.models.lift_zero_init(model) sets such gains to one"),
        (SHUT, {}, "(x)"),
        (ZERO_GAIN, {"zero_init": False}, "; warmup_steps=10 shows whether training revives them"),
        (ZERO_WEIGHT, {"zero_init": True}, "; warmup_steps=10 shows whether training revives them"),
        (SHUT, {"zero_init": True}, "; warmup_steps=10 shows whether training revives them"),
        (SHUT, {"warmup_steps": 5}, "; they are still zero after the warm-up"),
        (ZERO_GAIN, {"stored_weights": True, "zero_init": False}, "(x)"),
        (UNREACHED, {}, ")"),
    ],
)
def test_advice_fits_the_cause_and_omits_steps_already_taken(
    sound: Factory, kind: str, meta: dict[str, Any], advice: str
) -> None:
    (text,) = missing_signals(with_causes(sound(dead=1), (kind, "x"), **meta))
    assert text.endswith(advice)


def test_layers_without_a_signal_are_named_with_the_reason(sound: Factory) -> None:
    (text,) = missing_signals(sound().with_meta(unseen_layers=["rnn", "head.lstm"]))
    assert text.startswith("a: 2 layers ran whose gradient is not among the signals (rnn, head.lstm);")
    first, second = missing_signals(sound().with_meta(unseen_layers=["rnn", "aux"], unreached_layers=["aux"]))
    assert first == "a: 1 layer ran that no loss reaches (aux)"
    assert second.startswith("a: 1 layer ran whose gradient is not among the signals (rnn);")
    (frozen,) = missing_signals(sound().with_meta(frozen_layers=["c1", "c2", "c3", "c4"]))
    assert frozen.startswith("a: 4 layers without a signal: frozen (requires_grad is False)")
    assert "(c1, c2, c3, ...)" in frozen
