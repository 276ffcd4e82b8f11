"""Paired comparisons, and the correction of p-values for many of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from gradlens.metrics import association, holm, paired
from gradlens.metrics.inference import p_of_half_widths


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_a_paired_comparison_equals_the_paired_t_test(rng):
    a, shift = rng.standard_normal(7), 0.4 + 0.3 * rng.standard_normal(7)
    result = paired(a, a + shift)
    expected = stats.ttest_rel(a + shift, a)
    low, high = expected.confidence_interval(0.95)
    assert result.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert (result.difference, result.low, result.high) == pytest.approx((shift.mean(), low, high), rel=1e-12)


def test_the_permutation_p_counts_sign_flips(rng):
    d = rng.standard_normal(6) + 0.8
    flips = [abs(np.mean(d * signs)) for signs in itertools.product((1, -1), repeat=6)]
    expected = np.mean([flip >= abs(d.mean()) - 1e-12 for flip in flips])
    assert paired(np.zeros(6), d).p_permutation == pytest.approx(expected, abs=1e-12)


def test_the_permutation_p_has_a_floor():
    assert paired(np.zeros(5), np.array([1.0, 1.1, 0.9, 1.2, 0.8])).p_permutation == pytest.approx(2 / 2**5)


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.3, 0.3], [math.nan, math.nan], [0.3, math.nan]])
def test_values_that_cannot_be_tested_have_no_p_value(values):
    result = paired(np.zeros(len(values)), np.array(values))
    assert math.isnan(result.p)
    assert math.isnan(result.p_permutation)


def test_replicates_without_a_value_are_left_out(rng):
    a, b = rng.standard_normal((2, 6))
    with_gap = np.append(b, np.nan)
    assert paired(np.append(a, 1.0), with_gap) == pytest.approx(paired(a, b))


def test_holm_values_are_monotone_and_at_most_one():
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]


def test_holm_lies_between_no_correction_and_bonferroni(rng):
    p = rng.uniform(size=20)
    corrected = np.array(holm(list(p)))
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, 20 * p) + 1e-12).all()
    order = np.argsort(p)
    assert (np.diff(corrected[order]) >= 0).all()


def test_a_comparison_without_a_p_value_does_not_count():
    result = holm([0.01, math.nan, 0.04])
    assert result[0] == pytest.approx(0.02)
    assert math.isnan(result[1])
    assert result[2] == pytest.approx(0.04)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_a_correlation_lies_in_its_interval_and_the_interval_covers(kind, rng):
    inside = 0
    for _ in range(200):
        x = rng.standard_normal(20)
        y = 0.6 * x + 0.8 * rng.standard_normal(20)
        result = association(x, y, kind)
        assert -1 <= result.low <= result.value <= result.high <= 1
        truth = 0.6 if kind == "pearson" else 6 / math.pi * math.asin(0.3)
        inside += result.low <= truth <= result.high
    assert 180 <= inside <= 199


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("runs", [4, 30])
def test_a_correlation_equals_that_of_scipy_at_every_scale(scale, runs, rng):
    x, y = 3 + rng.standard_normal(runs), rng.standard_normal(runs)
    expected = float(stats.pearsonr(x, y).statistic)
    assert association(scale * x, y).value == pytest.approx(expected, rel=1e-12)
    assert association(y, scale * x).value == pytest.approx(expected, rel=1e-12)
    assert association(scale * x, x).value == pytest.approx(1)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_a_correlation_of_too_few_or_of_constant_values_is_nan(kind):
    assert math.isnan(association(np.arange(3.0), np.arange(3.0), kind).value)
    assert math.isnan(association(np.ones(9), np.arange(9.0), kind).value)


@pytest.mark.parametrize("runs", [4, 5, 12])
def test_perfect_ranks_have_no_interval_and_no_p_below_that_of_all_orders(runs):
    """Fisher's transform of 1 is infinite, and Student's t gives p = 0: four runs cannot show that much."""
    x = np.arange(float(runs))
    result = association(x, np.exp(x), "spearman")
    assert result.value == pytest.approx(1)
    assert np.isnan([result.low, result.high]).all()
    expected = 2 / math.factorial(runs) if runs < 9 else math.nan
    assert result.p == pytest.approx(expected, nan_ok=True)
    assert association(x, -x, "spearman").p == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("ties", [False, True])
def test_the_p_of_few_ranks_counts_all_orders(ties, rng):
    x = rng.standard_normal(6)
    y = rng.integers(0, 3, 6).astype(float) if ties else x + rng.standard_normal(6)
    result = association(x, y, "spearman")
    orders = [abs(stats.spearmanr(x, order).statistic) for order in itertools.permutations(y)]
    assert result.p == pytest.approx(np.mean(np.array(orders) >= abs(result.value) - 1e-9))


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_values_that_are_constant_up_to_rounding_have_no_correlation(kind):
    x = 1 + 1e-17 * np.arange(4.0)
    nearly = np.nextafter(np.full(4, 0.25), 1.0)
    nearly[0] = 0.25
    assert np.isnan(association(nearly, np.arange(4.0), kind)).all()
    assert np.isnan(association(x, np.arange(4.0), kind)).all()


def test_differences_equal_up_to_rounding_have_no_p_value():
    a = np.array([0.1, 0.3, 0.7])
    b = (a * 3 - 1.02) / 3
    result = paired(a, b)
    assert np.ptp(b - a) > 0  # rounding alone tells them apart
    assert np.isnan([result.p, result.p_permutation]).all()
    assert result.difference == pytest.approx(-0.34)
    assert np.isnan(p_of_half_widths(np.array([-0.34]), np.array([1e-16]), 3)).all()
    assert p_of_half_widths(np.array([-0.34]), np.array([1e-9]), 3) < 1e-9


@pytest.mark.parametrize("runs", [2, 3, 5, 8, 13])
def test_the_p_value_of_all_sign_flips_is_that_of_scipy(runs, rng):
    d = rng.standard_normal(runs) + 0.3
    flips = stats.permutation_test((d,), np.mean, permutation_type="samples")
    assert paired(np.zeros(runs), d).p_permutation == flips.pvalue


def test_more_sign_flips_than_are_enumerated_are_drawn(rng):
    d = rng.standard_normal(16) + 0.4
    flips = [abs(np.mean(d * signs)) for signs in itertools.product((1, -1), repeat=16)]
    share = np.mean([flip >= abs(d.mean()) - 1e-12 for flip in flips])
    assert paired(np.zeros(16), d).p_permutation == pytest.approx(share, abs=5 * math.sqrt(share / 9999))
