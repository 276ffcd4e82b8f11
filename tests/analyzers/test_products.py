"""Similarities over some replicates, from HSICs that were computed once for each replicate."""

import numpy as np
import pytest

from gradlens.analyzers.products import products
from gradlens.analyzers.similarity import similarity
from gradlens.catalogue.versions import DIRECTION, DIRECTION_GIVEN_LOSS, ENERGY, ENERGY_GIVEN_LOSS
from gradlens.metrics import cka, direction, hsic_matrix, partial_hsic

N, REPLICATES = 9, 5


@pytest.fixture
def grams(draw):
    features = np.stack([draw(number, REPLICATES, N, 12) for number in range(6)])
    features[1] += features[0]
    features[2, 3] = 0.0  # dead in one replicate
    features[3] = 0.0  # dead
    features[4] = 1.0  # the same for every sample
    made = np.einsum("lsid,lsjd->lsij", features, features)
    made[5, 1, 0, 0] = np.inf  # unknown in one replicate
    return made


@pytest.fixture
def loss(draw):
    features = draw(9, REPLICATES, N, 3)
    return np.einsum("sid,sjd->sij", features, features)


@pytest.mark.parametrize("index", [[0, 1, 2, 3, 4], [0, 2, 4], [3], [1, 3], [4, 4, 0]])
def test_a_similarity_over_replicates_is_that_of_their_grams(grams, loss, index):
    values = similarity(products(grams, loss), index)
    known = 1 not in index
    alive = [0, 1] + [2] * (index != [3]) + [5] * known
    ours, of_loss = grams[alive][:, index], loss[index][None]
    for plain, given, transform in (
        (ENERGY, ENERGY_GIVEN_LOSS, lambda gram: gram),
        (DIRECTION, DIRECTION_GIVEN_LOSS, direction),
    ):
        together = hsic_matrix(transform(np.concatenate([ours, of_loss])))
        partial = cka(partial_hsic(together, len(alive)))[:-1, :-1]
        for version, expected in ((plain, cka(together)[:-1, :-1]), (given, partial)):
            np.testing.assert_allclose(
                values.between(version, np.array(alive)), expected, rtol=1e-10, atol=1e-12
            )
            assert values.usable(version, np.arange(6)).tolist() == alive
    assert values.dead.tolist() == [False, False, index == [3], True, False, False]
    assert values.unusable.tolist() == [number not in alive for number in range(6)]


def test_without_a_loss_signal_nothing_is_given_the_loss(grams):
    values = similarity(products(grams, None), [0, 2])
    assert np.isnan(values.versions[ENERGY_GIVEN_LOSS]).all()
    assert np.isfinite(values.versions[ENERGY][0, 1])


def test_a_loss_signal_that_is_zero_in_some_replicates_is_partialled_out_of_the_others(grams, loss):
    loss[0] = 0.0
    made = products(grams, loss)
    assert np.isnan(similarity(made, [0]).versions[ENERGY_GIVEN_LOSS]).all()
    assert np.isfinite(similarity(made, [0, 2]).versions[ENERGY_GIVEN_LOSS][0, 1])
