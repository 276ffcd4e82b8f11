"""Ranks from a Gram, checked against closed forms and the singular values of the gradients."""

import numpy as np
import pytest

from gradlens.metrics import effective_rank, participation_ratio, ranks, stable_rank

RANKS = (effective_rank, stable_rank, participation_ratio)


def with_singular_values(*sigma, n=5, d=9, seed=0):
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((n, len(sigma))))
    right, _ = np.linalg.qr(rng.standard_normal((d, len(sigma))))
    return left * sigma @ right.T


def test_effective_rank_uses_the_singular_values_not_their_squares():
    """σ = 2, 1: exp(H(2/3, 1/3)) = 3 / 2^(2/3) = 1.890; with the squares it would be 5 / 4^(4/5) = 1.649."""
    g = with_singular_values(2.0, 1.0)
    assert effective_rank(g @ g.T) == pytest.approx(3 / 2 ** (2 / 3), rel=1e-9)
    assert abs(effective_rank(g @ g.T) - 5 / 4 ** (4 / 5)) > 0.2


def test_effective_rank_equals_the_definition_on_the_gradients():
    g = np.random.default_rng(1).standard_normal((7, 20)) * np.logspace(0, 2, 20)
    sigma = np.linalg.svd(g, compute_uv=False)
    p = sigma / sigma.sum()
    assert effective_rank(g @ g.T) == pytest.approx(float(np.prod(p**-p)), rel=1e-9)


def test_stable_rank_and_participation_ratio_have_their_closed_forms():
    g = with_singular_values(2.0, 1.0)
    assert stable_rank(g @ g.T) == pytest.approx(5 / 4)
    assert participation_ratio(g @ g.T) == pytest.approx(25 / 17)
    assert stable_rank(g @ g.T) == pytest.approx((np.linalg.norm(g) / np.linalg.norm(g, 2)) ** 2)


@pytest.mark.parametrize("rank", RANKS)
def test_equal_singular_values_count_directions(rank):
    for k in (1, 2, 4):
        g = with_singular_values(*[3.0] * k)
        assert rank(g @ g.T) == pytest.approx(k, rel=1e-6)
    assert rank(np.eye(6)) == pytest.approx(6)


@pytest.mark.parametrize("rank", RANKS)
def test_scale_does_not_matter(rank):
    g = with_singular_values(3.0, 2.0, 0.5)
    for scale in (1e-20, 1e20):
        assert rank(scale * (g @ g.T)) == pytest.approx(rank(g @ g.T), rel=1e-6)


@pytest.mark.parametrize("rank", RANKS)
def test_a_zero_gradient_has_no_rank(rank):
    assert np.isnan(rank(np.zeros((4, 4))))


def test_the_gram_is_not_centred():
    """Equal gradients span one direction, not zero."""
    assert effective_rank(np.ones((4, 4))) == pytest.approx(1, abs=1e-5)


def test_ranks_of_several_gradients_are_those_of_their_singular_values():
    g = np.random.default_rng(2).standard_normal((2, 3, 5, 8)) * np.logspace(0, 1.5, 8)
    g[1, 2] = 0.0
    effective, stable, participation = ranks(g @ g.swapaxes(-1, -2))
    for index in np.ndindex(2, 3):
        sigma = np.linalg.svd(g[index], compute_uv=False)
        p = sigma / sigma.sum() if sigma.any() else np.full(5, np.nan)
        shares = p**2 / (p**2).sum()
        expected = [np.prod(p**-p), 1 / shares.max(), 1 / (shares**2).sum()]
        np.testing.assert_allclose(
            [effective[index], stable[index], participation[index]], expected, rtol=1e-9
        )
