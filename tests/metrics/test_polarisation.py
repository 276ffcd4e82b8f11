"""Inner products of two gradients from the norms of weighted sums."""

from __future__ import annotations

import numpy as np
import pytest

from gradlens.metrics import Weighted, further_weight, products
from gradlens.metrics.polarisation import ACCURATE, LOST

EPS = 2.0**-22


def vectors(ratio: float, count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of vectors ``[count, 50]`` whose norms have about this ratio."""
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((2, count, 50))
    return first, second / ratio


def squares(rows: np.ndarray) -> np.ndarray:
    return np.asarray((rows**2).sum(axis=1))


def single(rows: np.ndarray) -> np.ndarray:
    """Return squared norms with an error as rounding causes it."""
    noise = np.random.default_rng(7).uniform(-EPS, EPS, len(rows))
    return squares(rows) * (1 + noise)


def passes(first: np.ndarray, second: np.ndarray, *weights: float) -> list[Weighted]:
    return [Weighted(weight, single(first + weight * second)) for weight in weights]


def cosines(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.asarray(values / np.sqrt(squares(first) * squares(second)))


@pytest.mark.parametrize("ratio", [1.0, 1e2, 1e-3])
def test_the_error_is_below_its_bound(ratio: float) -> None:
    first, second = vectors(ratio)
    known = products(single(first), single(second), passes(first, second, 1.0), EPS)
    errors = np.abs(cosines(known.values - (first * second).sum(1), first, second))
    kept = np.isfinite(errors)
    assert kept.mean() > 0.9
    assert (errors[kept] <= 3 * known.errors[kept]).all()


def test_a_weight_near_the_ratio_of_the_norms_makes_it_accurate() -> None:
    first, second = vectors(1e6)
    plain = products(single(first), single(second), passes(first, second, 1.0), EPS)
    assert np.isnan(plain.values).all()
    weight = further_weight(single(first), single(second), plain)
    assert weight == pytest.approx(1e6, rel=0.1)
    known = products(single(first), single(second), passes(first, second, 1.0, weight), EPS)
    np.testing.assert_allclose(
        cosines(known.values, first, second), cosines((first * second).sum(1), first, second), atol=ACCURATE
    )
    assert further_weight(single(first), single(second), known) is None


def test_two_groups_of_samples_need_two_weights() -> None:
    near, far = vectors(1.0), vectors(1e7, seed=1)
    first, second = (np.concatenate(pair) for pair in zip(near, far, strict=True))
    known = products(single(first), single(second), passes(first, second, 1.0), EPS)
    assert np.isfinite(known.values[:200]).all()
    assert np.isnan(known.values[200:]).all()
    weight = further_weight(single(first), single(second), known)
    assert weight is not None
    both = products(single(first), single(second), passes(first, second, 1.0, weight), EPS)
    assert (both.errors < LOST).all()
    assert np.abs(cosines(both.values - (first * second).sum(1), first, second)).max() < ACCURATE


def test_a_gradient_of_zero_has_a_product_of_zero_and_asks_for_no_pass() -> None:
    first = np.array([0.0, 0.0, 2.0])
    second = np.array([0.0, 3.0, 0.0])
    known = products(first, second, [], EPS)
    assert known.values.tolist() == [0.0, 0.0, 0.0]
    assert further_weight(first, second, known) is None


def test_without_samples_there_is_no_product() -> None:
    unknown = np.array([np.nan, 1.0])
    assert np.isnan(products(unknown, np.ones(2), [Weighted(1.0, np.full(2, 2.0))], EPS).values).tolist() == [
        True,
        False,
    ]
