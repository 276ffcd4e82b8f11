"""Nulls, ceilings and canonical correlations: known cases, and the values of another library."""

import math

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA

from gradlens.metrics import canonical, cka, duplication, hsic_matrix, permutation_null, split_half


def grams(rows):
    return rows @ rows.swapaxes(-1, -2)


def test_copies_are_far_above_the_null_and_independent_signals_are_not():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(1, 4, 16, 40))
    copies = grams(np.concatenate([signal] * 3))
    result = permutation_null(copies, 99)
    assert result.p == 0.01
    assert result.high < 0.2 < duplication(cka(hsic_matrix(copies)))
    ps = [permutation_null(grams(rng.normal(size=(3, 4, 16, 40))), 19, seed).p for seed in range(40)]
    assert 0.3 < np.mean(ps) < 0.7
    assert min(ps) >= 0.05


def test_shuffling_keeps_the_signals():
    rng = np.random.default_rng(1)
    rows = grams(rng.normal(size=(2, 3, 10, 7)))
    matrices = []
    permutation_null(rows, 3, statistic=lambda s: matrices.append(s) or 0.0)
    assert len(matrices) == 4
    assert all(np.allclose(np.diagonal(matrix), 1) for matrix in matrices)
    assert not np.allclose(matrices[0], matrices[1])


def test_similarity_due_to_the_loss_is_not_significant_given_the_loss():
    """Three signals that share only the loss signal: above the null, but not given the loss."""
    rng = np.random.default_rng(7)
    loss = rng.normal(size=(1, 6, 24, 3))
    signals = np.concatenate(
        [np.concatenate([3 * loss, rng.normal(size=(1, 6, 24, 30))], axis=-1) for _ in range(3)]
    )
    raw = permutation_null(grams(signals), 39)
    conditioned = permutation_null(grams(signals), 39, loss=grams(loss)[0])
    assert raw.p == 1 / 40
    assert conditioned.p > 0.1


def test_one_signal_has_no_null():
    assert math.isnan(permutation_null(np.ones((1, 1, 5, 5))).p)


def test_halves_of_a_signal_are_similar_and_halves_of_noise_are_not():
    rng = np.random.default_rng(2)
    hidden = rng.normal(size=(1, 4, 24, 3))
    strong = np.concatenate([hidden @ rng.normal(size=(3, 200)), rng.normal(size=(1, 4, 24, 200))])
    result = split_half(grams(strong[..., ::2]), grams(strong))
    assert result[0] > 0.95
    assert abs(result[1]) < 0.15


def test_canonical_correlations_equal_scikit_learns():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 4)), rng.normal(size=(60, 3))
    y[:, 0] += x[:, 1]
    result = canonical(grams(x), grams(y), variance=1.0)
    a, b = CCA(n_components=3, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = np.mean([np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(3)])
    assert result.directions == (4, 3)
    assert result.svcca == pytest.approx(expected, abs=1e-5)


def test_an_invertible_map_does_not_change_svcca_with_all_directions():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(30, 5))
    result = canonical(grams(x), grams(x @ rng.normal(size=(5, 5))), variance=1.0)
    assert result.svcca == pytest.approx(1.0)
    assert result.pwcca == pytest.approx(1.0)


def test_pwcca_weights_by_the_variance_of_the_first_signal():
    """The large direction is shared, the small one is not."""
    rng = np.random.default_rng(5)
    basis = np.linalg.qr(rng.normal(size=(40, 4)) - 0.0)[0]
    basis = np.linalg.qr(basis - basis.mean(axis=0))[0]
    x = basis[:, :2] * [10.0, 1.0]
    y = basis[:, [0, 2]]
    result = canonical(grams(x), grams(y), variance=1.0)
    assert result.svcca == pytest.approx(0.5, abs=1e-6)
    assert result.pwcca == pytest.approx(100 / 101, abs=1e-6)


@pytest.mark.parametrize("size", [20, 6])
def test_too_few_samples_have_no_value(size):
    rng = np.random.default_rng(6)
    result = canonical(grams(rng.normal(size=(size, 50))), grams(rng.normal(size=(size, 50))))
    assert math.isnan(result.svcca)
    assert sum(result.directions) > size - 1


def test_a_zero_gradient_has_no_directions():
    result = canonical(np.zeros((8, 8)), np.eye(8))
    assert result.directions[0] == 0
    assert math.isnan(result.pwcca)
