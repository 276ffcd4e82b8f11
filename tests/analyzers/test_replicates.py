"""Intervals over replicates: seeds, or the batches of one seed by the jackknife."""

import numpy as np
import pytest
from scipy import stats

from gradlens.analyzers import similarity as similarity_module
from gradlens.analyzers.correlation import Correlation
from gradlens.analyzers.duplication import Duplication
from gradlens.analyzers.replicates import batch_half_widths, over_replicates
from gradlens.comparisons.comparison import Comparison
from gradlens.comparisons.cross import cross_network
from gradlens.comparisons.summary import Summary
from gradlens.metrics import mean_interval


@pytest.fixture
def pair(hand):
    """Two signals of one seed, the second is the first plus noise; ``batches`` batches of ``n`` samples."""

    def make(random, batches=8, n=16, d=20, **meta):
        build = hand([(0, batch) for batch in range(batches)], **meta)
        x = random.normal(size=(batches, n, d))
        build.gradient(x, "one")
        build.gradient(x + random.normal(size=x.shape), "two")
        return build.recording()

    return make


def test_intervals_are_over_seeds_or_batches(hand, draw):
    assert pair_of(hand, draw, [(0, 0), (1, 0)]).noise == "seeds"
    assert pair_of(hand, draw, [(0, 0), (0, 1), (0, 2)]).noise == "batches"
    assert pair_of(hand, draw, [(0, 0), (0, 1)]).noise == ""


def pair_of(hand, draw, replicates):
    build = hand(replicates)
    build.gradient(draw(0, len(replicates)), "one")
    build.gradient(draw(1, len(replicates)), "two")
    return build.recording()


def test_the_jackknife_of_a_mean_is_the_t_interval(pair):
    """Known (Tukey 1958): the pseudo-values of a mean are the values themselves."""
    recording = pair(np.random.default_rng(0))
    energies = recording.energies[0]
    reach = batch_half_widths(lambda subset: {"mean": subset.energies[0].mean()}, recording)["mean"]
    interval = mean_interval(energies)
    assert reach == pytest.approx((interval.high - interval.low) / 2, rel=1e-9)


def test_the_interval_of_a_similarity_covers_it(pair):
    """The CKA of 400 batches lies in the interval of 8 at about the nominal rate: 95 % of 120 draws."""
    random = np.random.default_rng(1)
    truth = Correlation()(pair(random, batches=400)).frame["energy"].item()
    hits = 0
    for _ in range(120):
        row = Correlation()(pair(random)).frame.iloc[0]
        hits += abs(row["energy"] - truth) <= row["energy_reach"]
    assert 0.88 <= hits / 120 <= 0.995


def test_over_seeds_the_interval_is_that_of_the_mean(hand, draw):
    recording = pair_of(hand, draw, [(0, 0), (1, 0), (2, 0)])
    values = over_replicates(lambda subset: {"energy": subset.energies[0].mean()}, recording)
    interval = mean_interval(recording.energies[0])
    assert values.means["energy"] == pytest.approx(interval.mean)
    assert values.half_widths["energy"] == pytest.approx(interval.high - interval.mean)


def test_one_seed_of_several_batches_has_intervals_in_summary_and_comparison(pair):
    random = np.random.default_rng(2)
    a, b = pair(random, network="a"), pair(random, network="b")
    row = Summary()(a).frame.set_index("stage").loc["whole"]
    assert row["rarefied_duplication_low"] < row["rarefied_duplication"] < row["rarefied_duplication_high"]
    table = Comparison()(a, b)
    row = table.frame.set_index("stage").loc["whole"]
    assert (
        row["rarefied_duplication_low"]
        < row["rarefied_duplication_difference"]
        < row["rarefied_duplication_high"]
    )
    assert "paired differences over batches" in table.how
    same = Comparison()(a, a).frame.set_index("stage").loc["whole"]
    assert same["rarefied_duplication_high"] == pytest.approx(0)
    assert np.isnan(same["flops_low"])


def test_values_that_depend_on_one_batch_have_no_interval(hand, draw):
    """Two signals that are dead in all batches but one: without it there is no value."""
    build = hand([(0, batch) for batch in range(4)])
    alive = np.zeros((4, 1, 1))
    alive[1] = 1
    build.gradient(draw(0, 4) * alive, "one")
    build.gradient((draw(0, 4) + draw(1, 4)) * alive, "two")
    recording = build.recording()
    row = Correlation()(recording).frame.iloc[0]
    assert np.isfinite(row["energy"])
    assert np.isnan(row["energy_reach"])
    assert np.isnan(Summary()(recording).frame.set_index("stage").loc["whole", "rarefied_duplication_low"])


def test_recordings_of_different_batches_have_no_interval_and_no_cross_table(pair):
    random = np.random.default_rng(0)
    five, three = pair(random, batches=5), pair(random, batches=3)
    for first, second in ((five, three), (three, five)):
        row = Comparison()(first, second).frame.set_index("stage").loc["whole"]
        assert np.isfinite(row["rarefied_duplication_difference"])
        assert np.isnan(row["rarefied_duplication_low"])
        assert cross_network(first, second) is None


def test_the_level_is_kept_over_batches(pair):
    random = np.random.default_rng(2)
    a, b = pair(random), pair(random)
    wide, narrow = (
        Comparison(level=level)(a, b).frame.set_index("stage").loc["whole"] for level in (0.95, 0.5)
    )
    spread = [row["rarefied_duplication_high"] - row["rarefied_duplication_low"] for row in (wide, narrow)]
    assert spread[0] / spread[1] == pytest.approx(stats.t.ppf(0.975, 7) / stats.t.ppf(0.75, 7))


def test_duplication_of_every_version_has_its_interval(pair, hand, draw):
    random = np.random.default_rng(3)
    single = Duplication()(pair(random)).frame
    known = single["duplication"].notna()
    assert single.loc[known, "duplication_reach"].notna().all()
    several = pair_of(hand, draw, [(0, 0), (1, 0), (2, 0)])
    frame = Duplication()(several).frame
    rows = frame[(frame["stage"] == "whole") & (frame["version"] == "energy")]
    interval = mean_interval(rows["duplication"].to_numpy())
    assert np.allclose(rows["duplication_reach"], interval.high - interval.mean)


def test_the_work_is_linear_in_the_batches(pair, monkeypatch):
    """No analyzer nests the jackknife in the jackknife."""
    calls = []
    original = similarity_module.similarity
    monkeypatch.setattr(
        similarity_module, "similarity", lambda *arguments: calls.append(1) or original(*arguments)
    )
    counts = []
    for batches in (4, 8):
        calls.clear()
        Duplication()(pair(np.random.default_rng(0), batches=batches))
        counts.append(len(calls))
    assert counts[1] <= 2 * counts[0]
