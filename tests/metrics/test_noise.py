"""Noise scale: worked examples, unbiased estimates, and the definition."""

import math

import numpy as np
import pytest

from gradlens.metrics import Noise, noise, noise_scale, signal_to_noise


def test_equal_gradients_have_no_noise():
    rows = np.tile([3.0, 4.0], (5, 1))
    assert noise(rows @ rows.T) == Noise(pytest.approx(0.0, abs=1e-12), pytest.approx(25.0))
    assert noise_scale([noise(rows @ rows.T)]) == pytest.approx(0.0, abs=1e-12)


def test_terms_equal_their_definitions():
    rows = np.random.default_rng(0).normal(size=(7, 20)) + 1
    mean = rows.mean(axis=0)
    terms = noise(rows @ rows.T)
    assert terms.variance == pytest.approx(rows.var(axis=0, ddof=1).sum())
    assert terms.square == pytest.approx(mean @ mean - terms.variance / 7)


def test_estimates_are_unbiased_over_many_batches():
    """The mean has norm 1 and each of 30 features unit variance, so the noise scale is 30."""
    rng = np.random.default_rng(0)
    mean = np.full(30, 1 / math.sqrt(30))
    terms = []
    for _ in range(4000):
        rows = mean + rng.normal(size=(8, 30))
        terms.append(noise(rows @ rows.T))
    assert np.mean([term.variance for term in terms]) == pytest.approx(30, rel=0.01)
    assert np.mean([term.square for term in terms]) == pytest.approx(1, rel=0.05)
    assert noise_scale(terms) == pytest.approx(30, rel=0.06)
    assert signal_to_noise(terms) == pytest.approx(1 / 30, rel=0.06)


def test_without_a_positive_square_of_the_mean_there_is_no_scale():
    rows = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert noise(rows @ rows.T).square < 0
    assert math.isnan(noise_scale([noise(rows @ rows.T)]))
    assert math.isnan(signal_to_noise([noise(rows @ rows.T)]))
    assert math.isnan(noise(np.ones((1, 1))).variance)
    assert math.isnan(noise_scale([]))
