"""Measures of the contributions at a fork, checked against the contributions themselves."""

import numpy as np
import pytest

from gradlens.metrics import coherence, cosine_sums, energy_shares, mean_cosine, pair_inner_products


def energies(branches):
    return np.array([(g**2).sum() for g in branches]), float((np.sum(branches, axis=0) ** 2).sum())


def test_energy_shares_add_up_to_one():
    shares = energy_shares(np.array([9.0, 1.0, 0.0]))
    assert shares.tolist() == [0.9, 0.1, 0.0]
    assert np.isnan(energy_shares(np.zeros(2))).all()


@pytest.mark.parametrize("b", [2, 3, 5])
def test_coherence_of_equal_orthogonal_and_cancelling_branches(b):
    g = np.random.default_rng(0).standard_normal((4, 6))
    branch_energies, total = energies([g] * b)
    assert coherence(total, branch_energies) == pytest.approx(b)
    orthogonal = np.zeros((b, 4, b))
    orthogonal[np.arange(b), :, np.arange(b)] = 2.0
    branch_energies, total = energies(orthogonal)
    assert coherence(total, branch_energies) == pytest.approx(1)
    cancelling = np.stack([g * weight for weight in (*[1.0] * (b - 1), 1.0 - b)])
    branch_energies, total = energies(cancelling)
    assert coherence(total, branch_energies) == pytest.approx(0, abs=1e-12)


def test_coherence_without_gradient_is_nan():
    assert np.isnan(coherence(0.0, np.zeros(3)))


def test_inner_products_by_polarisation_equal_those_of_the_contributions():
    a, b = np.random.default_rng(0).standard_normal((2, 3, 5, 40))  # [branch, s, n, d]
    norms = np.stack([(a**2).sum(-1), (b**2).sum(-1)], axis=1)
    inner = pair_inner_products(((a + b) ** 2).sum(-1), norms)
    pair = (a, b)
    expected = np.array([[(x * y).sum(-1) for y in pair] for x in pair]).transpose(2, 0, 1, 3)
    assert inner.shape == (3, 2, 2, 5)
    assert np.allclose(inner, expected, rtol=1e-12, atol=1e-12)


def test_mean_cosine_is_over_samples_with_both_gradients():
    """Cosines 1, 0, -1/2; the fourth sample has no gradient on the second branch."""
    a = np.array([[2.0, 0], [1, 0], [2, 0], [5, 5]])
    b = np.array([[3.0, 0], [0, 4], [-1, np.sqrt(3)], [0, 0]])
    inner = np.array([[(x * y).sum(-1) for y in (a, b)] for x in (a, b)])
    assert mean_cosine(inner, 0, 1) == pytest.approx((1 + 0 - 0.5) / 3)
    assert mean_cosine(inner, 0, 0) == pytest.approx(1)
    assert mean_cosine(np.stack([inner, inner]), 1, 0) == pytest.approx((1 + 0 - 0.5) / 3)


def test_mean_cosine_without_common_samples_is_nan():
    assert np.isnan(mean_cosine(np.zeros((2, 2, 4)), 0, 1))


def test_rounding_cannot_raise_a_cosine_above_one():
    inner = np.array([[[1.0], [1.0 + 1e-9]], [[1.0 + 1e-9], [1.0]]])
    assert mean_cosine(inner, 0, 1) == 1.0


def test_cosine_sums_are_those_of_the_samples_with_both_gradients():
    random = np.random.default_rng(3)
    gradients = random.normal(size=(2, 3, 5, 7))  # [s, b, n, d]
    gradients[0, 1, 2] = 0.0
    inner = np.einsum("sand,sbnd->sabn", gradients, gradients)
    sums, counts = cosine_sums(inner)
    for s, a, b in np.ndindex(2, 3, 3):
        pairs = [(gradients[s, a, i], gradients[s, b, i]) for i in range(5)]
        cosines = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in pairs if x.any() and y.any()]
        assert counts[s, a, b] == len(cosines)
        assert sums[s, a, b] == pytest.approx(sum(cosines))
