"""The table of signal pairs."""

import numpy as np
import pytest
from oracles.cka import minibatch_cka

from gradlens.analyzers.correlation import Correlation
from gradlens.metrics import mean_interval


@pytest.fixture
def recording(hand, draw, seeds):
    build = hand(seeds(2, 3))
    a, b = draw(0, 6), draw(1, 6)
    build.gradient(a, "stem", "2")
    build.gradient(np.concatenate([a, b], axis=-1), "body", "4")
    build.gradient(0 * a, "body", "4")
    build.gradient(b, "fc", "head")
    return build.recording()


def test_every_pair_once_in_forward_order(recording):
    frame = Correlation()(recording).frame
    pairs = list(zip(frame.order_a, frame.order_b, strict=True))
    assert pairs == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert list(frame.signal_a[:1]) + list(frame.signal_b[:3]) == ["stem", "body", "body@2", "fc"]
    assert list(frame.stage_b[:3]) == ["4", "4", "head"]


def test_batches_of_a_seed_are_pooled_and_seeds_are_averaged(recording):
    row = Correlation()(recording).frame.set_index(["signal_a", "signal_b"]).loc[("stem", "body")]
    grams = recording.grams
    expected = [minibatch_cka(grams[0, batches], grams[1, batches]) for batches in (slice(0, 3), slice(3, 6))]
    assert row.energy == pytest.approx(np.mean(expected))
    interval = mean_interval(np.array(expected))
    assert row.energy_reach == pytest.approx((interval.high - interval.low) / 2)


def test_dead_signals_have_no_similarity(recording):
    frame = Correlation()(recording).frame
    dead = (frame.signal_a == "body@2") | (frame.signal_b == "body@2")
    assert frame.energy.isna().equals(dead)
    assert frame.direction.isna().equals(dead)


def test_one_seed_has_no_spread_and_one_signal_no_table(hand, draw):
    build = hand()
    build.gradient(draw(0))
    assert Correlation()(build.recording()) is None
    build.gradient(draw(1))
    assert Correlation()(build.recording()).frame.energy_reach.isna().all()
