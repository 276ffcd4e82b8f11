"""Agreement of samples, computed by hand and from the gradients themselves."""

import numpy as np
import pytest

from gradlens.metrics import confusion, cosines_of_samples, diversities, gradient_diversity, stiffness

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


def test_agreement_of_several_grams_is_that_of_each():
    generator = np.random.default_rng(3)
    rows = generator.standard_normal((2, 3, 6, 5))
    rows[0, 1, 2] = 0.0  # one sample without a gradient
    rows[1, 0] = 0.0
    rows[1, 2] -= rows[1, 2].mean(axis=0)  # gradients that cancel
    grams = rows @ rows.swapaxes(-1, -2)
    labels = generator.integers(0, 2, (2, 3, 6))
    labels[0, 0] = 0  # one class
    within, across, smallest = cosines_of_samples(grams, labels)
    diversity = diversities(grams)
    for index in np.ndindex(2, 3):
        lengths = np.linalg.norm(rows[index], axis=1)
        pairs = [(i, j) for i in range(6) for j in range(6) if i != j and lengths[i] * lengths[j] > 0]
        cosines = {(i, j): rows[index][i] @ rows[index][j] / lengths[i] / lengths[j] for i, j in pairs}
        same = [value for (i, j), value in cosines.items() if labels[index][i] == labels[index][j]]
        other = [value for (i, j), value in cosines.items() if labels[index][i] != labels[index][j]]
        expected = [np.mean(values) if values else np.nan for values in (same, other)]
        np.testing.assert_allclose([within[index], across[index]], expected, atol=1e-12)
        np.testing.assert_allclose(smallest[index], min(cosines.values(), default=np.nan), atol=1e-12)
        np.testing.assert_allclose(diversity[index], gradient_diversity(grams[index]))
    assert np.isinf(diversity[1, 2])
    assert np.isnan([diversity[1, 0], across[0, 0]]).all()
