"""What holds for any signals, drawn by hypothesis."""

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from gradlens.metrics import (
    cka,
    duplication,
    effective_number,
    effective_rank,
    hsic_matrix,
    participation_ratio,
    stable_rank,
)

often = settings(deadline=None, derandomize=True, max_examples=60)


@st.composite
def features(draw, least=2):
    """Signals ``[l, s, n, d]``, partly shared, with samples and signals of very different size."""
    signals, n = draw(st.integers(least, 6)), draw(st.integers(4, 12))
    replicates, width = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    shared = draw(st.floats(0, 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    own = rng.standard_normal((signals, replicates, n, width))
    common = rng.standard_normal((1, replicates, n, width))
    spread = draw(st.sampled_from([0.0, 1.0, 3.0]))
    size = np.exp(spread * rng.standard_normal((signals, replicates, n, 1)))
    return (np.sqrt(1 - shared) * own + np.sqrt(shared) * common) * size


def similarity(signals):
    return cka(hsic_matrix(np.einsum("lsif,lsjf->lsij", signals, signals)))


@often
@drawn(features(), st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(signals, random):
    order = list(range(signals.shape[2]))
    random.shuffle(order)
    assert np.allclose(similarity(signals[:, :, order]), similarity(signals), atol=1e-8)


@often
@drawn(features(), st.lists(st.floats(-12, 12), min_size=6, max_size=6))
def test_the_size_of_a_signal_does_not_matter(signals, exponents):
    scale = 10.0 ** np.array(exponents[: len(signals)])
    assert np.allclose(similarity(signals * scale[:, None, None, None]), similarity(signals), atol=1e-8)


@often
@drawn(features(), st.integers(0, 2**32 - 1))
def test_an_orthogonal_map_of_the_features_does_not_matter(signals, seed):
    width = signals.shape[-1]
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))
    turned = signals.copy()
    turned[0] = signals[0] @ turn
    assert np.allclose(similarity(turned), similarity(signals), atol=1e-8)


@often
@drawn(features())
def test_similarity_is_symmetric_and_at_most_one(signals):
    matrix = similarity(signals)
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(np.diagonal(matrix), 1)
    assert np.abs(matrix).max() <= 1 + 1e-9


@often
@drawn(features())
def test_the_effective_number_lies_between_one_and_all(signals):
    matrix = similarity(signals)
    assert 1 - 1e-9 <= effective_number(matrix) <= len(signals) + 1e-9
    assert -1e-9 <= duplication(matrix) <= 1 + 1e-9


@often
@drawn(features())
def test_copying_every_signal_keeps_the_number_and_raises_duplication(signals):
    before, after = similarity(signals), similarity(np.concatenate([signals, signals]))
    assert effective_number(after) == pytest.approx(effective_number(before), rel=1e-6)
    l, number = len(signals), effective_number(before)  # noqa: E741
    assert duplication(after) == pytest.approx((2 * l - number) / (2 * l - 1), abs=1e-6)
    assert duplication(after) >= duplication(before) - 1e-9


@often
@drawn(st.integers(2, 6), st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_a_copy_among_unrelated_signals_raises_duplication(l, seed, copied):  # noqa: E741
    signals = np.random.default_rng(seed).standard_normal((l, 4, 16, 50))
    more = np.concatenate([signals, signals[[copied % l]]])
    assert duplication(similarity(more)) > duplication(similarity(signals)) + 0.05


@often
@drawn(features(least=1))
def test_ranks_lie_between_one_and_the_number_of_samples_and_features(signals):
    g = signals[0, 0]
    most = min(g.shape)
    for rank in (effective_rank, stable_rank, participation_ratio):
        assert 1 - 1e-9 <= rank(g @ g.T) <= most * (1 + 1e-4)
    assert stable_rank(g @ g.T) <= participation_ratio(g @ g.T) + 1e-9 <= effective_rank(g @ g.T) + 1e-4
