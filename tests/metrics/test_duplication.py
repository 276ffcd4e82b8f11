"""Duplication: copies, unrelated signals and mixtures of known strength."""

import numpy as np
import pytest

from gradlens.metrics import (
    cka,
    duplication,
    duplication_bias,
    effective_number,
    hsic_matrix,
    mean_similarity,
    rarefied_duplication,
)


def similarity(grams):
    return cka(hsic_matrix(grams))


def mean_duplication(independent, draws=6, **options):
    """Return the mean D over draws of 12 unrelated signals."""
    return np.mean([duplication(similarity(independent(12, seed=seed, **options))) for seed in range(draws)])


def test_four_copies_of_three_signals_have_an_effective_number_of_three(orthogonal):
    matrix = similarity(orthogonal(3, 8).repeat(4, axis=0))
    assert effective_number(matrix) == pytest.approx(3)
    assert duplication(matrix) == pytest.approx(9 / 11)
    assert mean_similarity(matrix) == pytest.approx(3 / 11)


@pytest.mark.parametrize("n", [16, 32, 64])
def test_four_copies_of_three_random_signals_have_an_effective_number_near_three(independent, n):
    matrix = similarity(independent(3, 1, n).repeat(4, axis=0))
    assert effective_number(matrix) == pytest.approx(3, abs=0.05)
    assert effective_number(matrix) < 3
    assert duplication(matrix) == pytest.approx(9 / 11, abs=0.005)


@pytest.mark.parametrize("rank", [None, 9])
@pytest.mark.parametrize(
    ("n", "replicates", "expected", "tolerance"),
    [(8, 1, 0.26, 0.06), (16, 1, 0.051, 0.012), (16, 8, 0.007, 0.003), (32, 8, 0.002, 0.001)],
)
def test_twelve_unrelated_signals_have_almost_no_duplication(
    independent, rank, n, replicates, expected, tolerance
):
    """D is biased upwards for few samples, as the warnings state; the rank of the signals does not matter."""
    value = mean_duplication(independent, replicates=replicates, n=n, rank=rank)
    assert value == pytest.approx(expected, abs=tolerance)


def test_the_effective_number_of_exactly_unrelated_signals_is_their_number(orthogonal):
    matrix = similarity(orthogonal(12, 8))
    assert effective_number(matrix) == pytest.approx(12)
    assert duplication(matrix) == pytest.approx(0, abs=1e-12)
    assert mean_similarity(matrix) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scales", [np.ones(5), np.array([1e-8, 1e-3, 1.0, 1e3, 1e8])])
def test_copies_count_as_one_signal_at_any_scale(independent, scales):
    copies = independent(1, 2, 16).repeat(5, axis=0) * scales[:, None, None, None]
    matrix = similarity(copies)
    assert effective_number(matrix) == pytest.approx(1)
    assert duplication(matrix) == pytest.approx(1)
    assert mean_similarity(matrix) == pytest.approx(1)


@pytest.mark.parametrize("w", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_mixtures_have_the_closed_form(orthogonal, w):
    """``K_i = (1-w) A_i + w B`` with A_i, B orthonormal: every pair has CKA w²/(w² + (1-w)²)."""
    individual, shared = np.split(orthogonal(6, 9), [5])
    matrix = similarity((1 - w) * individual + w * shared)
    r = w**2 / (w**2 + (1 - w) ** 2)
    p = np.array([1 + 4 * r, *[1 - r] * 4]) / 5
    p = p[p > 0]
    expected = np.prod(p**-p)
    assert mean_similarity(matrix) == pytest.approx(r, abs=1e-12)
    assert effective_number(matrix) == pytest.approx(expected)
    assert duplication(matrix) == pytest.approx((5 - expected) / 4, abs=1e-9)


def test_duplication_grows_with_the_shared_part(grams):
    rng = np.random.default_rng(0)
    individual, shared = rng.standard_normal((6, 8, 16, 200)), rng.standard_normal((8, 16, 200))
    values = [
        duplication(similarity(grams(np.sqrt(1 - w) * individual + np.sqrt(w) * shared)))
        for w in (0.0, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
    ]
    assert (np.diff(values) > 0).all()
    assert values[0] < 0.05
    assert values[-1] == pytest.approx(1)


def test_one_signal_has_no_duplication_and_no_signals_have_no_effective_number():
    assert np.isnan(duplication(np.ones((1, 1))))
    assert np.isnan(mean_similarity(np.ones((1, 1))))
    assert effective_number(np.ones((1, 1))) == 1
    assert np.isnan(effective_number(np.ones((0, 0))))
    assert np.isnan(duplication(np.ones((0, 0))))


@pytest.mark.parametrize(("n", "batches"), [(32, 1), (32, 4), (64, 2), (16, 8)])
@pytest.mark.parametrize("m", [None, 4])
def test_the_bias_of_unrelated_signals_has_the_formula(independent, n, batches, m):
    matrices = [similarity(independent(12, batches, n, seed=seed)) for seed in range(30)]
    measured = [duplication(matrix) if m is None else rarefied_duplication(matrix, m) for matrix in matrices]
    assert np.mean(measured) == pytest.approx(duplication_bias(m or 12, n, batches), rel=0.15)


def test_the_bias_falls_with_the_square_of_the_batch_size_and_the_number_of_batches():
    assert duplication_bias(100, 64, 1) < duplication_bias(100, 32, 2) < duplication_bias(100, 16, 4)
    assert duplication_bias(50, 32, 1) == pytest.approx(duplication_bias(100, 32, 2))
    assert duplication_bias(1000, 8, 1) == 1.0
    assert np.isnan(duplication_bias(10, 3, 5))
    assert np.isnan(duplication_bias(10, 8, 0))
