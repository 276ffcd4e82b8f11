"""Properties of the metrics for any signals, tested with hypothesis."""

import numpy as np
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from gradlens.metrics import (
    cka,
    coherence,
    duplication,
    effective_number,
    effective_rank,
    energy_shares,
    hsic_matrix,
    pair_inner_products,
    participation_ratio,
    stable_rank,
)

property_test = settings(deadline=None, derandomize=True, max_examples=60)


@st.composite
def features(draw, least=2):
    """Signals ``[l, s, n, d]`` with a shared part, and samples and signals of very different sizes."""
    signals, n = draw(st.integers(least, 6)), draw(st.integers(4, 12))
    replicates, width = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    shared = draw(st.floats(0, 1))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    individual = rng.standard_normal((signals, replicates, n, width))
    common = rng.standard_normal((1, replicates, n, width))
    spread = draw(st.sampled_from([0.0, 1.0, 3.0]))
    size = np.exp(spread * rng.standard_normal((signals, replicates, n, 1)))
    return (np.sqrt(1 - shared) * individual + np.sqrt(shared) * common) * size


def similarity(signals):
    return cka(hsic_matrix(np.einsum("lsif,lsjf->lsij", signals, signals)))


@property_test
@for_all(features(), st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(signals, random):
    order = list(range(signals.shape[2]))
    random.shuffle(order)
    assert np.allclose(similarity(signals[:, :, order]), similarity(signals), atol=1e-8)


@property_test
@for_all(features(), st.lists(st.floats(-12, 12), min_size=6, max_size=6))
def test_the_size_of_a_signal_does_not_matter(signals, exponents):
    scale = 10.0 ** np.array(exponents[: len(signals)])
    assert np.allclose(similarity(signals * scale[:, None, None, None]), similarity(signals), atol=1e-8)


@property_test
@for_all(features(), st.integers(0, 2**32 - 1))
def test_an_orthogonal_map_of_the_features_does_not_matter(signals, seed):
    width = signals.shape[-1]
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))
    rotated = signals.copy()
    rotated[0] = signals[0] @ rotation
    assert np.allclose(similarity(rotated), similarity(signals), atol=1e-8)


@property_test
@for_all(features())
def test_similarity_is_symmetric_and_at_most_one(signals):
    matrix = similarity(signals)
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(np.diagonal(matrix), 1)
    assert np.abs(matrix).max() <= 1 + 1e-9


@property_test
@for_all(features())
def test_the_effective_number_lies_between_one_and_all(signals):
    matrix = similarity(signals)
    assert 1 - 1e-9 <= effective_number(matrix) <= len(signals) + 1e-9
    assert -1e-9 <= duplication(matrix) <= 1 + 1e-9


@property_test
@for_all(features())
def test_copying_all_signals_keeps_the_effective_number_and_increases_duplication(signals):
    before, after = similarity(signals), similarity(np.concatenate([signals, signals]))
    assert effective_number(after) == pytest.approx(effective_number(before), rel=1e-6)
    l, number = len(signals), effective_number(before)  # noqa: E741
    assert duplication(after) == pytest.approx((2 * l - number) / (2 * l - 1), abs=1e-6)
    assert duplication(after) >= duplication(before) - 1e-9


@property_test
@for_all(st.integers(2, 6), st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_a_copy_among_unrelated_signals_raises_duplication(l, seed, copied):  # noqa: E741
    signals = np.random.default_rng(seed).standard_normal((l, 4, 16, 50))
    extended = np.concatenate([signals, signals[[copied % l]]])
    assert duplication(similarity(extended)) > duplication(similarity(signals)) + 0.05


@property_test
@for_all(features(least=1))
def test_ranks_lie_between_one_and_the_number_of_samples_and_features(signals):
    g = signals[0, 0]
    limit = min(g.shape)
    for rank in (effective_rank, stable_rank, participation_ratio):
        assert 1 - 1e-9 <= rank(g @ g.T) <= limit * (1 + 1e-4)
    assert stable_rank(g @ g.T) <= participation_ratio(g @ g.T) + 1e-9 <= effective_rank(g @ g.T) + 1e-4


@property_test
@for_all(features(), st.randoms(use_true_random=False))
def test_the_order_of_features_does_not_matter(signals, random):
    order = list(range(signals.shape[-1]))
    random.shuffle(order)
    assert np.allclose(similarity(signals[..., order]), similarity(signals), atol=1e-9)


@property_test
@for_all(features())
def test_hsic_is_the_mean_over_batches(signals):
    """HSICs are averaged over batches before any ratio, so batches can be recorded separately."""
    grams = np.einsum("lsif,lsjf->lsij", signals, signals)
    separate = np.mean([hsic_matrix(grams[:, batch : batch + 1]) for batch in range(grams.shape[1])], axis=0)
    assert np.allclose(separate, hsic_matrix(grams), rtol=1e-9, atol=1e-9 * np.abs(separate).max())


@property_test
@for_all(st.integers(2, 8))
def test_an_unrelated_signal_adds_one_to_the_effective_number_of_unrelated_ones(count):
    assert effective_number(np.eye(count + 1)) == pytest.approx(effective_number(np.eye(count)) + 1)
    assert duplication(np.eye(count)) == pytest.approx(0, abs=1e-12)


@property_test
@for_all(features())
def test_an_unrelated_signal_lowers_the_duplication_of_copies(signals):
    """``l`` copies have D = 1; an additional unrelated signal lowers D and raises N_eff."""
    copies = np.ones((len(signals), len(signals)))
    extended = np.pad(copies, (0, 1))
    extended[-1, -1] = 1.0
    assert duplication(extended) < duplication(copies)
    assert effective_number(extended) > effective_number(copies)


@property_test
@for_all(features())
def test_coherence_and_inner_products_follow_from_the_grams(signals):
    """This holds for forks with any number of branches."""
    branches = signals[:, 0]
    total = branches.sum(axis=0)
    energies = np.square(branches).sum(axis=(1, 2))
    expected = np.square(total).sum() / energies.sum()
    assert coherence(float(np.square(total).sum()), energies) == pytest.approx(expected)
    assert coherence(float(np.square(total).sum()), energies) <= len(branches) * (1 + 1e-9)
    pair = branches[:2]
    norms = np.square(pair).sum(axis=2)
    inner = pair_inner_products(np.square(pair.sum(axis=0)).sum(axis=1), norms)
    scale = norms.sum()
    assert np.allclose(inner[0, 1], (pair[0] * pair[1]).sum(axis=1), atol=1e-9 * scale)
    assert energy_shares(energies).sum() == pytest.approx(1.0)
