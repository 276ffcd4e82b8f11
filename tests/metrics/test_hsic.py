"""CKA agrees with theory, two slow transcriptions and another library."""

import numpy as np
import pytest
import torch
from oracles.cka import biased_cka, hsic1, hsic_u_statistic, minibatch_cka
from oracles.residual import cka_by_regression

from gradlens.errors import GradlensError
from gradlens.metrics import cka, direction, hsic_matrix, is_constant, partial_hsic, u_center


def related(grams, signals=4, replicates=3, n=9, seed=0):
    """Return Grams of signals of different widths with a shared part, so that no HSIC is near 0."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((replicates, n, 3))
    return np.stack(
        [
            grams(np.concatenate([shared * (1 + i), rng.standard_normal((replicates, n, 5 + i))], axis=-1))
            for i in range(signals)
        ]
    )


def test_u_centred_grams_have_zero_row_sums_and_diagonals(grams):
    centred = u_center(related(grams))
    assert np.allclose(centred.sum(axis=-1), 0)
    assert not np.diagonal(centred, axis1=-2, axis2=-1).any()
    assert np.allclose(u_center(centred), centred)


def test_hsic_equals_song_2012_eq_5(grams):
    signals = related(grams)
    for i, row in enumerate(hsic_matrix(signals)):
        for j, value in enumerate(row):
            expected = np.mean([hsic1(k, other) for k, other in zip(signals[i], signals[j], strict=True)])
            assert value == pytest.approx(expected, rel=1e-10)


def test_hsic_equals_the_mean_over_quadruples_of_samples(grams):
    signals = related(grams, signals=2, replicates=1, n=7)
    expected = [[hsic_u_statistic(a[0], b[0]) for b in signals] for a in signals]
    assert np.allclose(hsic_matrix(signals), expected, rtol=1e-10)


def test_hsic_is_unbiased_at_the_smallest_batch(independent):
    """n = 4 and independent signals: single draws are far from 0, their mean is not."""
    signals = independent(2, 20_000, 4, features=3)
    draws = np.array([hsic_matrix(signals[:, [s]])[0, 1] for s in range(2000)])
    assert draws.std() > 1
    mean = hsic_matrix(signals)[0, 1]
    assert abs(mean) < 4 * draws.std() / np.sqrt(20_000)


def test_cka_equals_the_slow_transcription_over_minibatches(grams):
    signals = related(grams)
    expected = [[minibatch_cka(a, b) for b in signals] for a in signals]
    assert np.allclose(cka(hsic_matrix(signals)), expected, rtol=1e-10)


def test_batches_are_averaged_before_dividing(grams):
    """A batch of large gradients has more weight, so the mean of the ratios by batch is a different number."""
    signals = related(grams, signals=2) * np.array([1.0, 10.0, 100.0])[:, None, None]
    ratios = [cka(hsic_matrix(signals[:, [s]]))[0, 1] for s in range(3)]
    together = cka(hsic_matrix(signals))[0, 1]
    assert together == pytest.approx(minibatch_cka(*signals), rel=1e-10)
    assert abs(together - np.mean(ratios)) > 0.01


def test_cka_agrees_with_ckatorch():
    from ckatorch.core import cka_batch
    from ckatorch.hsic import hsic1 as torch_hsic1

    rng = np.random.default_rng(3)
    shared = rng.standard_normal((5, 12, 4))
    features = [np.concatenate([shared, rng.standard_normal((5, 12, d))], axis=-1) for d in (3, 8, 20)]
    signals = np.stack([f @ f.transpose(0, 2, 1) for f in features])
    hsic = hsic_matrix(signals)
    values = cka(hsic)
    for i in range(3):
        for j in range(3):
            expected = cka_batch(torch.from_numpy(features[i]), torch.from_numpy(features[j]))
            assert values[i, j] == pytest.approx(float(expected), rel=1e-9)
            batches = torch_hsic1(torch.from_numpy(signals[i]), torch.from_numpy(signals[j]))
            assert hsic[i, j] == pytest.approx(float(batches.mean()), rel=1e-9)
    assert 0.05 < values[0, 1] < 0.95


@pytest.mark.parametrize(("features", "biased"), [(100, 0.74), (10_000, 0.997)])
def test_biased_cka_finds_a_relation_between_independent_signals_and_unbiased_cka_does_not(
    independent, features, biased
):
    """Independent Gaussians at n = 32 (Nguyen 2021)."""
    signals = independent(2, 8, 32, features=features)
    assert biased_cka(signals[0, 0], signals[1, 0]) == pytest.approx(
        biased, abs=0.02 if biased < 0.9 else 0.001
    )
    assert abs(cka(hsic_matrix(signals))[0, 1]) < 0.05


def test_an_orthogonal_map_leaves_cka_at_one(grams):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((10, 6))
    q, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    skewed = rng.standard_normal((6, 6)) * np.array([10.0, 1, 1, 1, 1, 0.1])
    matrix = cka(hsic_matrix(np.stack([grams(x), grams(x @ q), grams(x @ skewed)])[:, None]))
    assert matrix[0, 1] == pytest.approx(1, abs=1e-12)
    assert matrix[0, 2] < 0.99


def test_scale_and_the_order_of_samples_do_not_matter(grams):
    signals = related(grams, n=11)
    order = np.random.default_rng(1).permutation(11)
    expected = cka(hsic_matrix(signals))
    scaled = signals * np.array([1e-12, 1.0, 7.0, 1e12])[:, None, None, None]
    assert np.allclose(cka(hsic_matrix(scaled)), expected, rtol=1e-9)
    assert np.allclose(cka(hsic_matrix(signals[:, :, order][:, :, :, order])), expected, rtol=1e-9)
    one_moved = signals.copy()
    one_moved[0] = signals[0][:, order][:, :, order]
    assert abs(cka(hsic_matrix(one_moved))[0, 1] - expected[0, 1]) > 0.05


def test_adding_a_constant_to_every_sample_changes_nothing(grams):
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, 1, 9, 6))
    original = cka(hsic_matrix(np.stack([grams(x), grams(y)])))
    moved = cka(hsic_matrix(np.stack([grams(x + 5.0), grams(y)])))
    assert np.allclose(original, moved, atol=1e-10)


@pytest.mark.parametrize("n", [4, 5, 16])
def test_the_matrices_are_positive_semi_definite(independent, n):
    """There are more signals than free entries of an [n, n] matrix, so the rank is deficient as well."""
    hsic = hsic_matrix(independent(30, 2, n))
    for matrix in (hsic, partial_hsic(hsic, 3)):
        assert np.linalg.eigvalsh(matrix).min() > -1e-10 * np.trace(hsic)


def test_fewer_than_four_samples_have_no_unbiased_hsic(independent):
    with pytest.raises(GradlensError, match=r"3 samples per batch.*at least 4"):
        hsic_matrix(independent(2, 1, 3))
    assert np.isfinite(hsic_matrix(independent(2, 1, 4))).all()


def test_a_zero_signal_has_no_similarity_and_does_not_affect_others(independent):
    signals = independent(3, 2, 8)
    expected = cka(hsic_matrix(signals[[0, 2]]))[0, 1]
    signals[1] = 0.0
    matrix = cka(hsic_matrix(signals))
    assert np.isnan(matrix[1]).all()
    assert np.isnan(matrix[:, 1]).all()
    assert matrix[0, 2] == pytest.approx(expected, rel=1e-12)


def test_constant_signals_are_distinguished_from_varying_ones(independent):
    signals = independent(4, 2, 8)
    signals[0] = 0.0
    signals[1] = 3.0  # every sample has the same gradient
    signals[2] = 3.0 + 1e-8 * signals[2]  # equal up to rounding
    assert is_constant(signals).tolist() == [True, True, True, False]
    signals[2] = 3.0 + 1e-3 * independent(1, 2, 8, seed=9)[0]
    assert not is_constant(signals)[2]


def test_direction_has_unit_energy_and_leaves_zero_samples_at_zero(grams):
    x = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]])
    expected = [[1.0, 0.0, 0.8], [0.0, 0.0, 0.0], [0.8, 0.0, 1.0]]
    assert np.allclose(direction(grams(x)), expected)
    assert np.allclose(direction(grams(x) * 1e-40), expected)


def test_direction_does_not_depend_on_the_size_of_a_sample(independent):
    signals = independent(2, 2, 8)
    size = np.random.default_rng(2).lognormal(sigma=2, size=8)
    assert np.allclose(direction(signals * np.outer(size, size)), direction(signals))


def test_few_large_samples_raise_the_similarity_of_energies_but_not_of_directions(grams):
    """This is why both versions are reported."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 8, 16, 10))
    x[:, :, 0] *= 100.0
    x[:, :, 1] = x[:, :, 0] + rng.standard_normal((2, 8, 10))
    both = grams(x)
    assert cka(hsic_matrix(both))[0, 1] > 0.85
    assert cka(hsic_matrix(direction(both)))[0, 1] < 0.7


def test_partialling_out_gives_the_partial_correlation(grams):
    hsic = hsic_matrix(related(grams))
    r = cka(hsic)
    partial = cka(partial_hsic(hsic, 0))
    for i, j in ((1, 2), (1, 3), (2, 3)):
        expected = (r[i, j] - r[i, 0] * r[0, j]) / np.sqrt((1 - r[i, 0] ** 2) * (1 - r[0, j] ** 2))
        assert partial[i, j] == pytest.approx(expected, rel=1e-9)


def test_partialling_out_equals_regression(grams):
    signals = related(grams)
    partial = cka(partial_hsic(hsic_matrix(signals), 2))
    rest = [0, 1, 3]
    expected = cka_by_regression(signals, 2)
    assert np.allclose(partial[np.ix_(rest, rest)], expected[np.ix_(rest, rest)], rtol=1e-8)


def test_signals_related_only_by_the_condition_are_unrelated_given_it(orthogonal):
    a, b, common = orthogonal(3, 8)
    hsic = hsic_matrix(np.stack([common, a + common, b + common]))
    assert cka(hsic)[1, 2] == pytest.approx(0.5)
    assert cka(partial_hsic(hsic, 0))[1, 2] == pytest.approx(0, abs=1e-12)


def test_a_relation_besides_the_condition_remains_given_it(orthogonal):
    a, b, common = orthogonal(3, 8)
    hsic = hsic_matrix(np.stack([common, a + common, a + b + common]))
    assert cka(partial_hsic(hsic, 0))[1, 2] == pytest.approx(1 / np.sqrt(2))


@pytest.mark.parametrize("rounding", [0.0, 1e-8, 1e-7])
def test_a_signal_explained_by_the_condition_has_no_similarity_given_it(independent, rounding):
    """Also with the rounding errors of Grams accumulated in float32."""
    signals = independent(4, 2, 8)
    signals[2] = 0.1 * (signals[0] + rounding * independent(1, 2, 8, seed=1)[0])
    partial = cka(partial_hsic(hsic_matrix(signals), 0))
    for explained in (0, 2):
        assert np.isnan(partial[explained]).all()
        assert np.isnan(partial[:, explained]).all()
    assert np.isfinite(partial[np.ix_([1, 3], [1, 3])]).all()


def test_given_a_zero_signal_all_values_are_nan(independent):
    signals = independent(3, 1, 8)
    signals[1] = 0.0
    assert np.isnan(partial_hsic(hsic_matrix(signals), 1)).all()


def test_partialling_out_does_not_change_its_argument(independent):
    hsic = hsic_matrix(independent(3, 1, 8))
    original = hsic.copy()
    partial_hsic(hsic, 0)
    assert (hsic == original).all()
