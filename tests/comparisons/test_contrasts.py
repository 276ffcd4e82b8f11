"""Several networks: each against the first, corrected for the number of networks."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gradlens.analyzers.duplication import Duplication
from gradlens.comparisons.comparison import Comparison
from gradlens.comparisons.contrasts import Contrasts, cross_networks
from gradlens.comparisons.families import TESTED
from gradlens.results import Table
from gradlens.words.findings import finding_among


@pytest.fixture
def networks(hand, draw, seeds):
    """Factory of networks from the share that their signals have in common, by name."""

    def make(shares, count=4):
        recordings = []
        for name, shared in shares.items():
            build = hand(seeds(count, 2), network=name)
            build.loss = build.gradient(draw(99, 2 * count), "out", "head", signal=False)
            for depth, stage in enumerate(("4", "4", "8", "8", "8"), 1):
                individual = draw(100 * depth + len(name), 2 * count)
                g = np.sqrt(1 - shared) * individual + np.sqrt(shared) * draw(7, 2 * count)
                build.gradient(g, f"conv{depth}", stage, depth)
            recordings.append(build.recording())
        return recordings

    return make


THREE = {"first": 0.3, "same": 0.3, "close": 0.9}


def whole_duplication(recording):
    frame = Duplication()(recording).frame
    rows = frame[(frame.stage == "whole") & (frame.version == "energy")].sort_values("seed")
    return rows.rarefied_duplication.to_numpy()


def test_each_network_is_compared_with_the_first_only(networks):
    frame = Contrasts()(networks(THREE))["contrasts"].frame
    assert set(zip(frame.a, frame.b, strict=True)) == {("first", "same"), ("first", "close")}
    assert set(frame.stage) == {"4", "8", "whole"}


def test_the_difference_is_paired_over_seeds(networks):
    recordings = networks(THREE)
    frame = Contrasts()(recordings)["contrasts"].frame
    row = frame[
        (frame.stage == "whole") & (frame.metric == "rarefied_duplication") & (frame.b == "close")
    ].iloc[0]
    first, _, close = (whole_duplication(recording) for recording in recordings)
    paired = stats.ttest_rel(close, first)
    assert (row.mean_a, row.mean_b) == pytest.approx((first.mean(), close.mean()))
    assert row.difference == pytest.approx((close - first).mean())
    assert row.p == pytest.approx(paired.pvalue)
    assert (row.low, row.high) == pytest.approx(tuple(paired.confidence_interval(0.95)))


def test_p_values_are_corrected_over_everything_that_the_table_shows(networks):
    frame = Contrasts()(networks(THREE))["contrasts"].frame
    known = frame.p[frame.p.notna()].sort_values()
    assert set(frame.metric) <= set(TESTED)
    stepped = np.maximum.accumulate(known.to_numpy() * np.arange(len(known), 0, -1))
    assert frame.p_holm[known.index].to_numpy() == pytest.approx(np.minimum(stepped, 1))
    smallest = frame.loc[frame.p.idxmin()]
    assert smallest.p_holm > smallest.p


def test_a_fourth_network_leaves_the_differences_and_raises_the_correction(networks):
    three = Contrasts()(networks(THREE))["contrasts"].frame
    four = Contrasts()(networks({**THREE, "more": 0.6}))["contrasts"].frame
    keys = ["stage", "metric", "b"]
    both = three.merge(four, on=keys, suffixes=("_3", "_4"))
    assert len(both) == len(three)
    assert both.difference_3.to_numpy() == pytest.approx(both.difference_4.to_numpy())
    assert (both.p_holm_3.isna() == both.p_holm_4.isna()).all()  # no p-value for a constant quantity
    tested = both.dropna(subset="p_holm_3")
    assert (tested.p_holm_4 >= tested.p_holm_3 - 1e-12).all()
    assert (tested.p_holm_4 > tested.p_holm_3).any()


def test_networks_are_side_by_side_with_their_units(networks):
    table = Contrasts()(networks(THREE))["networks"]
    assert table.name == "networks"
    assert list(dict.fromkeys(table.frame.network)) == list(THREE)
    assert set(table.units) <= set(table.frame.columns)
    assert not {"accuracy", "loss"} & set(table.frame.columns)


def test_the_finding_lists_clear_differences_and_names_the_rest(networks):
    recordings = networks(THREE)
    text = finding_among(recordings, Contrasts()(recordings)["contrasts"])
    first, same, close = (whole_duplication(recording).mean() for recording in recordings)
    assert text.startswith(
        "Gradient duplication against first: close has more, for same no difference holds, also given the loss. "
        f"In numbers, against first (D_5 {first:.2f}, mean similarity "
    )
    assert f": close {close - first:.2f} more (D_5 {close:.2f} against {first:.2f}, 95 % interval" in text
    assert f"no difference that holds for same ({same:.2f}, " in text
    assert "Given the loss: " in text


NONE = "for b no difference holds"
INTERVAL = "95 % interval of the difference -0.30 to -0.10, Holm p = 0.01"


@pytest.mark.parametrize(
    ("duplication", "similarity", "answer", "clause"),
    [
        (
            (-0.3, -0.1, 0.01),
            (-0.3, -0.1, 0.01),
            "b has less",
            f"b 0.20 less (D_4 0.50 against 0.70, {INTERVAL}; mean similarity 0.50 against 0.70, {INTERVAL})",
        ),
        ((-0.3, -0.1, 0.2), (-0.3, -0.1, 0.2), NONE, "no difference that holds for b (0.50, 0.50)"),
        ((-0.3, 0.1, 0.04), (-0.3, 0.1, 0.04), NONE, "no difference that holds for b (0.50, 0.50)"),
        (
            (-0.3, -0.1, 0.01),
            (-0.3, 0.1, 0.04),
            "for b it depends on how layers are counted",
            "b it depends on how layers are counted (D_4 0.50 against 0.70, "
            f"{INTERVAL}; mean similarity 0.50 against 0.70, 95 % interval of the difference -0.30 to +0.10, "
            "Holm p = 0.04)",
        ),
        (
            (np.nan, np.nan, np.nan),
            (np.nan, np.nan, np.nan),
            NONE,
            "one seed, no interval, so no difference can be separated from noise: b (0.50, 0.50)",
        ),
    ],
    ids=["clear", "rejected", "noise", "depends", "one seed"],
)
def test_the_wording_of_a_difference(duplication, similarity, answer, clause, networks):
    recordings = networks({"first": 0.3, "b": 0.9}, count=1)
    row = {"stage": "whole", "m": 4, "a": "first", "b": "b", "mean_a": 0.7, "mean_b": 0.5, "difference": -0.2}
    frame = pd.DataFrame(
        {**row, "metric": metric, **dict(zip(("low", "high", "p_holm"), ends, strict=True))}
        for metric, ends in (("rarefied_duplication", duplication), ("mean_similarity", similarity))
    )
    text = finding_among(recordings, Table("contrasts", frame, ""))
    start = f"Gradient duplication against first: {answer}. In numbers, against first "
    assert text == f"{start}(D_4 0.70, mean similarity 0.70): {clause}."


def test_small_batches_are_reported(networks):
    recordings = networks(THREE, count=1)
    row = {"stage": "whole", "m": 9, "a": "first", "b": "b", "mean_a": 0.7, "mean_b": 0.5, "difference": -0.2}
    frame = pd.DataFrame(
        {**row, "metric": metric, "low": np.nan, "high": np.nan, "p_holm": np.nan}
        for metric in ("rarefied_duplication", "mean_similarity")
    )
    bias = 9 / (16 * 13 * 2)
    assert finding_among(recordings, Table("contrasts", frame, "")).endswith(
        f" Duplication is overestimated by up to about {bias:.2f} with batches of 16 samples; use larger batches."
    )


def test_one_seed_has_no_interval_and_no_p(networks):
    recordings = networks(THREE, count=1)
    contrasts = Contrasts()(recordings)["contrasts"]
    assert contrasts.frame.p_holm.isna().all()
    text = finding_among(recordings, contrasts)
    assert "one seed, no interval" in text
    assert "Holm" not in text


def test_one_seed_of_several_batches_has_intervals_over_them(hand, draw):
    recordings = []
    for name, shared in (("first", 0.3), ("close", 0.9)):
        build = hand([(0, batch) for batch in range(8)], network=name)
        for depth in range(1, 5):
            g = np.sqrt(1 - shared) * draw(100 * depth + len(name), 8) + np.sqrt(shared) * draw(7, 8)
            build.gradient(g, f"conv{depth}", "4", depth)
        recordings.append(build.recording())
    tables = Contrasts()(recordings)
    row = tables["contrasts"].frame.set_index(["stage", "metric"]).loc[("whole", "rarefied_duplication")]
    expected = Comparison()(*recordings).frame.set_index("stage").loc["whole"]
    assert (row.low, row.high) == pytest.approx(
        (expected.rarefied_duplication_low, expected.rarefied_duplication_high)
    )
    assert row.p < row.p_holm
    network_row = tables["networks"].frame.set_index(["stage", "network"]).loc[("whole", "close")]
    assert (
        network_row.rarefied_duplication_low
        < network_row.rarefied_duplication
        < network_row.rarefied_duplication_high
    )
    text = finding_among(recordings, tables["contrasts"])
    assert "close 0." in text
    assert "95 % interval of the difference over 8 batches" in text


def test_a_network_without_live_signals_is_named(networks, hand, draw, seeds):
    build = hand(seeds(4, 2), network="dead")
    for depth in (1, 2):
        build.gradient(np.zeros_like(draw(1, 8)), f"conv{depth}", "4", depth)
    recordings = [*networks(THREE), build.recording()]
    text = finding_among(recordings, Contrasts()(recordings)["contrasts"])
    assert (
        "Not defined, because fewer than two signals are live: dead. It is not fair because 5 of 5 signals of first"
        in text
    )
    assert text.startswith(
        "Not a fair comparison: gradient duplication against first: close has more, for same no difference holds, "
        "also given the loss; for dead it is not defined. "
    )
    assert "Duplication is overestimated by up to about" in text
    alone = [recordings[-1], recordings[0]]
    assert finding_among(alone, Contrasts()(alone)["contrasts"]).startswith(
        "No comparison of duplication: dead"
    )


def test_layers_of_the_first_are_compared_with_those_of_every_other_network(networks):
    frame = cross_networks(networks(THREE)).frame
    assert frame.groupby(["network_a", "network_b"], sort=False).size().to_dict() == {
        ("first", "same"): 25,
        ("first", "close"): 25,
    }
