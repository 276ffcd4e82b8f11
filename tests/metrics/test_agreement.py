"""Agreement of samples, computed by hand and from the gradients themselves."""

import numpy as np
import pytest

from gradlens.metrics import confusion, gradient_diversity, stiffness

EAST, NORTH = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def test_diversity_is_the_ratio_of_norms(grams):
    g = np.random.default_rng(0).standard_normal((6, 9)) + 0.5
    expected = (g**2).sum() / (g.sum(axis=0) ** 2).sum()
    assert gradient_diversity(grams(g)) == pytest.approx(expected)


def test_diversity_of_equal_orthogonal_and_cancelling_gradients(grams):
    assert gradient_diversity(grams(np.tile(EAST, (5, 1)))) == pytest.approx(1 / 5)
    assert gradient_diversity(np.eye(5)) == 1
    assert gradient_diversity(grams(np.stack([EAST, -EAST, NORTH, -NORTH]))) == np.inf
    assert np.isnan(gradient_diversity(np.zeros((4, 4))))


def test_stiffness_within_and_across_classes(grams):
    """Within: cos(0,1) = 1, cos(2,3) = 0; across: 0, -1, 0, -1. Norms do not matter."""
    gram = grams(np.stack([EAST, 7 * EAST, NORTH, -2 * EAST]))
    assert stiffness(gram, np.array([0, 0, 1, 1])) == pytest.approx((0.5, -0.5))


def test_stiffness_without_labels_is_all_across(grams):
    within, across = stiffness(grams(np.stack([EAST, EAST, NORTH, -EAST])))
    assert np.isnan(within)
    assert across == pytest.approx((1 + 0 - 1 + 0 - 1 + 0) / 6)


def test_stiffness_within_or_across_is_nan_without_such_pairs(grams):
    gram = grams(np.stack([EAST, NORTH, EAST + NORTH]))
    assert np.isnan(stiffness(gram, np.zeros(3, dtype=int))[1])
    assert np.isnan(stiffness(gram, np.arange(3))[0])


def test_samples_without_gradient_are_left_out(grams):
    gram = grams(np.stack([EAST, 0 * EAST, EAST, -EAST]))
    assert stiffness(gram, np.array([0, 0, 0, 1])) == pytest.approx((1.0, -1.0))
    assert confusion(grams(np.stack([EAST, 0 * EAST, EAST]))) == pytest.approx(1.0)


def test_confusion_is_the_smallest_cosine(grams):
    diagonal = (EAST - NORTH) / np.sqrt(2)
    gram = grams(np.stack([3 * EAST, 100 * NORTH, 0.01 * diagonal]))
    assert confusion(gram) == pytest.approx(-1 / np.sqrt(2))
    assert confusion(np.eye(4)) == 0
    assert confusion(np.ones((4, 4))) == pytest.approx(1)


def test_without_pairs_all_measures_are_nan():
    for gram in (np.zeros((4, 4)), np.diag([1.0, 0.0, 0.0, 0.0])):
        assert np.isnan(confusion(gram))
        assert np.isnan(stiffness(gram, np.zeros(4, dtype=int))).all()
