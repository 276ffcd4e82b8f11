"""Nulls, ceilings and canonical correlations: cases with a known answer, and another library's numbers."""

import math

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA

from gradlens.metrics import canonical, cka, duplication, hsic_matrix, permutation_null, split_half


def grams(rows):
    return rows @ rows.swapaxes(-1, -2)


def test_copies_are_far_beyond_the_null_and_independent_signals_are_not():
    draw = np.random.default_rng(0)
    one = draw.normal(size=(1, 4, 16, 40))
    copies = grams(np.concatenate([one, one, one]))
    found = permutation_null(copies, 99)
    assert found.p == 0.01
    assert found.high < 0.2 < duplication(cka(hsic_matrix(copies)))
    ps = [permutation_null(grams(draw.normal(size=(3, 4, 16, 40))), 19, seed).p for seed in range(40)]
    assert 0.3 < np.mean(ps) < 0.7
    assert min(ps) >= 0.05


def test_shuffling_keeps_every_signal_as_it_is():
    draw = np.random.default_rng(1)
    rows = grams(draw.normal(size=(2, 3, 10, 7)))
    seen = []
    permutation_null(rows, 3, statistic=lambda s: seen.append(s) or 0.0)
    assert len(seen) == 4
    assert all(np.allclose(np.diagonal(matrix), 1) for matrix in seen)
    assert not np.allclose(seen[0], seen[1])


def test_given_the_loss_what_it_forces_is_no_finding():
    """Three signals that share nothing but the loss: far beyond the null raw, inside it given the loss."""
    draw = np.random.default_rng(7)
    loss = draw.normal(size=(1, 6, 24, 3))
    signals = np.concatenate(
        [np.concatenate([3 * loss, draw.normal(size=(1, 6, 24, 30))], axis=-1) for _ in range(3)]
    )
    raw = permutation_null(grams(signals), 39)
    conditioned = permutation_null(grams(signals), 39, loss=grams(loss)[0])
    assert raw.p == 1 / 40
    assert conditioned.p > 0.1


def test_one_signal_has_no_null():
    assert math.isnan(permutation_null(np.ones((1, 1, 5, 5))).p)


def test_halves_of_one_thing_are_alike_and_halves_of_noise_are_not():
    draw = np.random.default_rng(2)
    hidden = draw.normal(size=(1, 4, 24, 3))
    strong = np.concatenate([hidden @ draw.normal(size=(3, 200)), draw.normal(size=(1, 4, 24, 200))])
    found = split_half(grams(strong[..., ::2]), grams(strong))
    assert found[0] > 0.95
    assert abs(found[1]) < 0.15


def test_canonical_correlations_equal_scikit_learns():
    draw = np.random.default_rng(3)
    x, y = draw.normal(size=(60, 4)), draw.normal(size=(60, 3))
    y[:, 0] += x[:, 1]
    found = canonical(grams(x), grams(y), variance=1.0)
    a, b = CCA(n_components=3, max_iter=5000, tol=1e-12).fit_transform(x, y)
    expected = np.mean([np.corrcoef(a[:, k], b[:, k])[0, 1] for k in range(3)])
    assert found.directions == (4, 3)
    assert found.svcca == pytest.approx(expected, abs=1e-5)


def test_an_invertible_map_does_not_change_svcca_with_all_directions():
    draw = np.random.default_rng(4)
    x = draw.normal(size=(30, 5))
    found = canonical(grams(x), grams(x @ draw.normal(size=(5, 5))), variance=1.0)
    assert found.svcca == pytest.approx(1.0)
    assert found.pwcca == pytest.approx(1.0)


def test_pwcca_weighs_by_the_variance_of_the_first():
    """One large direction is shared, one small one is not."""
    draw = np.random.default_rng(5)
    basis = np.linalg.qr(draw.normal(size=(40, 4)) - 0.0)[0]
    basis = np.linalg.qr(basis - basis.mean(axis=0))[0]
    x = basis[:, :2] * [10.0, 1.0]
    y = basis[:, [0, 2]]
    found = canonical(grams(x), grams(y), variance=1.0)
    assert found.svcca == pytest.approx(0.5, abs=1e-6)
    assert found.pwcca == pytest.approx(100 / 101, abs=1e-6)


@pytest.mark.parametrize("size", [20, 6])
def test_too_few_samples_have_no_answer(size):
    draw = np.random.default_rng(6)
    found = canonical(grams(draw.normal(size=(size, 50))), grams(draw.normal(size=(size, 50))))
    assert math.isnan(found.svcca)
    assert sum(found.directions) > size - 1


def test_a_zero_gradient_has_no_directions():
    found = canonical(np.zeros((8, 8)), np.eye(8))
    assert found.directions[0] == 0
    assert math.isnan(found.pwcca)
