"""Intervals against scipy's distribution object; slopes against known lines."""

import numpy as np
import pytest
from scipy import stats

from gradlens.metrics import mean_interval, slope


@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("size", [2, 3, 10])
def test_the_interval_is_that_of_student(level, size):
    values = np.random.default_rng(size).standard_normal(size) + 3
    interval = mean_interval(values, level)
    expected = stats.t.interval(level, size - 1, loc=values.mean(), scale=stats.sem(values))
    assert interval.mean == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_the_default_interval_covers_95_percent():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(1.0, 2.0, 4)) for _ in range(2000)]
    covered = np.mean([low <= 1.0 <= high for _, low, high in intervals])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_missing_values_are_left_out():
    assert mean_interval(np.array([1.0, np.nan, 3.0])) == mean_interval(np.array([1.0, 3.0]))


def test_one_value_has_a_mean_and_no_interval():
    interval = mean_interval(np.array([2.5, np.nan]))
    assert interval.mean == 2.5
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(mean_interval(np.array([]))).all()


def test_the_slope_of_a_line_is_exact():
    x = np.array([1.0, 2.0, 5.0, 9.0])
    assert slope(x, 4 - 0.25 * x) == pytest.approx(-0.25)
    assert slope(x + 1e6, 7 + 3 * x) == pytest.approx(3, rel=1e-6)


def test_the_slope_of_scattered_points_is_that_of_least_squares():
    x, y = np.random.default_rng(0).standard_normal((2, 30))
    assert slope(x, y) == pytest.approx(stats.linregress(x, y).slope)


def test_points_that_are_not_finite_are_left_out():
    x = np.array([0.0, 1.0, 2.0, np.nan])
    assert slope(x, np.array([0.0, -np.inf, 6.0, 1.0])) == pytest.approx(3)


@pytest.mark.parametrize("x", [[], [1.0], [2.0, 2.0], [1.0, np.nan]])
def test_a_slope_needs_two_different_x(x):
    assert np.isnan(slope(np.array(x), np.arange(float(len(x)))))
