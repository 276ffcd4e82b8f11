"""Curves of distinct gradients, and similarity by distance, of signals of known structure."""

import numpy as np
import pytest

from gradlens.analyzers.rarefaction import Lags, Rarefaction, grid
from gradlens.analyzers.similarity import signal_similarity
from gradlens.catalogue.versions import ENERGY
from gradlens.metrics import duplication


@pytest.fixture
def recorded(hand, draw, seeds):
    """Factory of a recording of signals, each the draw of a number; equal numbers are copies."""

    def make(numbers, count=2, batches=2, n=32):
        build = hand(seeds(count, batches), network="a")
        for number in numbers:
            build.gradient(draw(number, count * batches, n))
        return build.recording()

    return make


def whole(table):
    frame = table.frame
    return frame[(frame["version"] == "energy") & (frame.get("stage", "whole") == "whole")]


def test_copies_are_flat_and_unrelated_signals_the_diagonal(recorded):
    copies, unrelated = whole(Rarefaction()(recorded([0] * 5))), whole(Rarefaction()(recorded(range(5))))
    assert copies["n_eff"].tolist() == pytest.approx([1.0] * 5)
    assert unrelated["n_eff"].tolist() == pytest.approx([1, 2, 3, 4, 5], rel=0.02)


def test_the_end_of_the_curve_is_the_number_of_all_signals(recorded):
    recording = recorded([0, 0, 1, 2], count=1)
    matrix = signal_similarity(recording).versions[ENERGY]
    end = whole(Rarefaction()(recording)).iloc[-1]
    assert (4 - end["n_eff"]) / 3 == pytest.approx(duplication(matrix))


def test_only_neighbours_are_alike(recorded):
    frame = whole(Lags()(recorded([0, 0, 1, 1, 2, 2], n=64)))
    assert frame["similarity"].iloc[0] == pytest.approx(3 / 5, abs=0.02)
    assert np.abs(frame["similarity"].iloc[1:]).max() < 0.05


@pytest.mark.parametrize("signals", [1, 2, 17, 60, 121, 500])
def test_the_grid_is_short_and_holds_both_ends(signals):
    sizes = grid(signals)
    assert len(sizes) <= 25
    assert sizes == sorted(set(sizes))
    assert {1, 2, signals} <= set(sizes) or signals < 2
