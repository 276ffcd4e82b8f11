"""Stage tables: means over seeds, paired differences, networks that lack a stage."""

import numpy as np
import pytest
from scipy import stats

from gradlens.analyzers.branches import Branches
from gradlens.analyzers.duplication import Duplication
from gradlens.comparisons.comparison import COMPARED, Comparison
from gradlens.comparisons.summary import Summary


@pytest.fixture
def network(hand, draw, seeds, costs):
    """Factory of a network whose signals have the share ``shared`` in common, over three seeds."""

    def make(name="net", shared=0.5, stages=("4", "8", "head"), dead=False, count=3, scale=1.0):
        build = hand(seeds(count, 2), network=name)
        build.loss = build.gradient(draw(99, 2 * count), "out", "head", signal=False)
        depth = 0
        for stage in stages:
            for _ in range(1 if stage == "head" else 2):
                depth += 1
                individual = draw(100 * depth + len(name), 2 * count)
                g = np.sqrt(1 - shared) * individual + np.sqrt(shared) * draw(7, 2 * count)
                build.gradient(g * scale**depth, f"conv{depth}", stage, depth)
        if dead:
            build.gradient(np.zeros_like(individual), "last", stages[0], depth + 1)
        build.extra["costs"] = costs(samples=2, parameters={"conv1": 10}, flops={"conv1": 200, "conv3": 50})
        return build

    return make


def test_the_summary_is_the_mean_of_the_seeds(network):
    recording = network(dead=True, scale=0.1).recording()
    frame = Summary()(recording).frame.set_index("stage")
    by_seed = Duplication()(recording).frame
    rows = by_seed[(by_seed.stage == "4") & (by_seed.version == "energy")]
    assert frame.index.tolist() == ["4", "8", "head", "whole"]
    assert len(rows) == 3
    assert frame.rarefied_duplication["4"] == pytest.approx(rows.rarefied_duplication.mean())
    assert frame.n_eff["4"] == pytest.approx(rows.n_eff.mean())
    assert frame.loc["4", ["signals", "dead_signals"]].tolist() == [3, 1]
    assert frame.loc["whole", ["signals", "dead_signals"]].tolist() == [6, 1]
    assert frame.flow_slope["whole"] == pytest.approx(-1, abs=0.05)
    assert frame.flops.tolist() == [100, 25, 0, 125]
    assert frame.parameters.tolist() == [10, 0, 0, 10]
    given_loss = by_seed[(by_seed.stage == "8") & (by_seed.version == "energy given loss")]
    assert frame.rarefied_duplication_given_loss["8"] == pytest.approx(given_loss.rarefied_duplication.mean())
    unit = by_seed[(by_seed.stage == "8") & (by_seed.version == "direction")]
    assert frame.rarefied_duplication_direction["8"] == pytest.approx(
        unit.rarefied_duplication.mean(), rel=1e-12
    )
    assert frame.rarefied_duplication_direction["8"] != frame.rarefied_duplication["8"]


def test_branch_correlation_is_of_forks_and_splits_not_of_merges(network, draw):
    build = network(count=1)
    a, b = draw(0, 2), draw(0, 2) + draw(1, 2)
    numbers = [build.gradient(g, signal=False) for g in (a, b)]
    total = build.gradient(a + b, signal=False)
    build.group(numbers, total, stage="4")
    build.group(numbers, where="split", stage="16")
    build.group([numbers[0], numbers[0]], where="merge", stage="4")
    recording = build.recording()
    frame = Summary()(recording).frame.set_index("stage")
    fork, _, merge = Branches()(recording).frame.energy
    assert merge == pytest.approx(1)
    assert fork < 0.9
    assert frame.branch_correlation[["4", "16", "whole"]].tolist() == pytest.approx([fork] * 3)
    assert np.isnan(frame.branch_correlation["8"])
    assert np.isnan(frame.rarefied_duplication["16"])


def test_the_difference_is_paired_by_seed_with_a_t_interval(network):
    a, b = network("a", 0.8).recording(), network("bb", 0.3).recording()
    row = Comparison()(a, b).frame.set_index("stage").loc["8"]
    values = []
    for recording in (a, b):
        frame = Duplication()(recording).frame
        rows = frame[(frame.stage == "8") & (frame.version == "energy")].sort_values("seed")
        values.append(rows.rarefied_duplication.to_numpy())
    difference = values[1] - values[0]
    low, high = stats.t.interval(0.95, 2, loc=difference.mean(), scale=stats.sem(difference))
    assert len(difference) == 3
    assert row.rarefied_duplication_a == pytest.approx(values[0].mean())
    assert row.rarefied_duplication_b == pytest.approx(values[1].mean())
    assert row.rarefied_duplication_difference == pytest.approx(difference.mean())
    assert (row.rarefied_duplication_low, row.rarefied_duplication_high) == pytest.approx((low, high))
    assert row.rarefied_duplication_high < 0


def test_the_coverage_can_be_chosen(network):
    a, b = network("a", 0.8).recording(), network("bb", 0.3).recording()
    wide, narrow = (Comparison(level)(a, b).frame.iloc[-1] for level in (0.99, 0.5))
    assert (
        wide.rarefied_duplication_low
        < narrow.rarefied_duplication_low
        < narrow.rarefied_duplication_high
        < wide.rarefied_duplication_high
    )


def test_costs_have_a_difference_and_no_interval(network):
    row = Comparison()(network("a").recording(), network("bb").recording()).frame.iloc[-1]
    for metric in ("flops", "parameters"):
        assert row[f"{metric}_difference"] == 0
        assert np.isnan([row[f"{metric}_low"], row[f"{metric}_high"]]).all()


def test_one_seed_has_a_difference_and_no_interval(network):
    row = Comparison()(network("a", count=1).recording(), network("bb", count=1).recording()).frame.iloc[-1]
    assert np.isfinite(row.rarefied_duplication_difference)
    assert np.isnan([row.rarefied_duplication_low, row.rarefied_duplication_high]).all()


def test_stages_are_merged_by_stride_and_a_missing_one_stays_empty(network):
    a = network("a", stages=("4", "16", "head")).recording()
    b = network("bb", stages=("2", "4", "8", "blocks.0")).recording()
    frame = Comparison()(a, b).frame.set_index("stage")
    assert frame.index.tolist() == ["2", "4", "8", "16", "blocks.0", "head", "whole"]
    for metric in COMPARED:
        parts = [f"{metric}_{part}" for part in ("difference", "low", "high")]
        assert frame.loc[["2", "8", "16", "blocks.0", "head"], parts].isna().all(axis=None)
    assert np.isfinite(frame.rarefied_duplication_a["16"])
    assert np.isnan(frame.rarefied_duplication_b["16"])
    assert np.isnan(frame.rarefied_duplication_a["8"])
    assert np.isfinite(frame.rarefied_duplication_b["8"])
    assert np.isfinite(
        frame.loc[
            "4", ["rarefied_duplication_a", "rarefied_duplication_b", "rarefied_duplication_difference"]
        ].astype(float)
    ).all()


def test_a_network_against_itself_has_no_difference(network):
    a, again = network("a", dead=True).recording(), network("a", dead=True).recording()
    frame = Comparison()(a, again).frame
    for metric in COMPARED:
        differences = frame[f"{metric}_difference"].dropna()
        assert (differences == 0).all()
    assert frame.rarefied_duplication_difference.notna().any()


def test_a_recording_without_signals_still_has_its_rows(hand, draw):
    build = hand()
    a, b = draw(0), draw(1)
    numbers = [build.gradient(g, signal=False) for g in (a, b)]
    build.group(numbers, build.gradient(a + b, signal=False), stage="8")
    frame = Summary()(build.recording()).frame.set_index("stage")
    assert frame.index.tolist() == ["8", "whole"]
    assert frame.rarefied_duplication.isna().all()
    assert np.isfinite(frame.branch_correlation["8"])
