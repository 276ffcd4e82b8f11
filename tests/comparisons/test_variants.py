"""Variants of one network: what is measured over the batches of one seed."""

import collections
import itertools

import numpy as np

from gradlens.comparisons import variants
from gradlens.comparisons.variants import Variants, variant_metrics


def recorded(hand, draw, name, first):
    """A recording of one seed and four batches with two stages."""
    builder = hand([(0, batch) for batch in range(4)], network=name)
    for number, stage in enumerate(("4", "4", "8", "8", "8")):
        builder.gradient(draw(first + number, 4), module=f"conv{number}", stage=stage, depth=number)
    return builder.recording()


def test_each_subset_of_batches_is_measured_once(hand, draw, monkeypatch):
    recordings = [recorded(hand, draw, name, 10 * number) for number, name in enumerate("abc")]
    measured = collections.Counter()

    def counted(recording, scores, sizes):
        measured[recording.name, recording.replicates] += 1
        return variant_metrics(recording, scores, sizes)

    monkeypatch.setattr(variants, "variant_metrics", counted)
    compared = Variants(recordings, [{}] * 3)
    frames = compared.frames()
    measured.clear()
    compared.rows(frames)
    compared.differences(frames)
    assert len(measured) == 3 * (4 + 1)  # all batches, and all but one
    assert set(measured.values()) == {1}


def test_an_interval_over_batches_is_that_of_the_two_variants_measured_anew(hand, draw):
    """The jackknife, written out: the difference without each batch, with ``Variants`` of their own."""
    recordings = [recorded(hand, draw, name, 10 * number) for number, name in enumerate("ab")]
    compared = Variants(recordings, [{}] * 2)
    table = compared.differences(compared.frames()).frame
    row = table[(table["metric"] == "mean_similarity") & (table["stage"] == "whole")].iloc[0]

    def difference(kept):
        fresh = Variants([r.take(kept) for r in recordings], [{}] * 2, sizes=compared.common)
        a, b = (frame.loc["whole", "mean_similarity"].iloc[0] for frame in fresh.frames().values())
        return b - a

    rest = [difference(list(kept)) for kept in itertools.combinations(range(4), 3)]
    pseudo = 4 * difference([0, 1, 2, 3]) - 3 * np.array(rest)
    half = 3.182446305284263 * pseudo.std(ddof=1) / 2  # t of three degrees of freedom at 97.5 %
    np.testing.assert_allclose([row["low"], row["high"]], row["difference"] + np.array([-half, half]))
