"""Rarefied duplication: closed forms, invariance under thinning, and the limits of m."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlens.metrics import (
    duplication,
    effective_number,
    mean_similarity,
    rarefied_duplication,
    rarefied_number,
    similarity_by_lag,
)


def equicorrelated(signals, rho):
    return np.full((signals, signals), rho) + (1 - rho) * np.eye(signals)


def copies(groups, each):
    return np.kron(np.eye(groups), np.ones((each, each)))


def correlated(signals, rank, seed):
    """Return a positive semi-definite matrix with unit diagonal and elements of at least 0, as CKA has."""
    vectors = np.random.default_rng(seed).normal(size=(signals, rank))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors @ vectors.T) ** 2


def of_equicorrelated(m, rho):
    """Return D of m equicorrelated signals: eigenvalues 1 + (m − 1)ρ once and 1 − ρ (m − 1) times."""
    p = np.array([1 + (m - 1) * rho, *[1 - rho] * (m - 1)]) / m
    return (m - np.exp(-(p * np.log(p)).sum())) / (m - 1)


@pytest.mark.parametrize("signals", [5, 20, 121])
@pytest.mark.parametrize("m", [2, 3, 4, 5])
@pytest.mark.parametrize("rho", [0.1, 0.6])
def test_equicorrelated_signals_have_the_same_rarefied_duplication_at_any_number(signals, m, rho):
    assert rarefied_duplication(equicorrelated(signals, rho), m) == pytest.approx(of_equicorrelated(m, rho))


def test_duplication_of_all_equicorrelated_signals_grows_with_their_number():
    values = [duplication(equicorrelated(signals, 0.3)) for signals in (4, 16, 64, 256)]
    assert np.all(np.diff(values) > 0.05)


@pytest.mark.parametrize(("groups", "each", "m"), [(3, 4, 3), (3, 4, 6), (4, 2, 5), (6, 3, 4), (5, 4, 12)])
def test_groups_of_copies_agree_with_the_enumeration_of_all_subsets(groups, each, m):
    labels = np.repeat(np.arange(groups), each)
    expected = []
    for subset in combinations(labels, m):
        p = np.unique(subset, return_counts=True)[1] / m
        expected.append(np.exp(-(p * np.log(p)).sum()))
    value = (m - np.mean(expected)) / (m - 1)
    assert rarefied_duplication(copies(groups, each), m) == pytest.approx(value, abs=0.004)


@pytest.mark.parametrize(("signals", "m"), [(7, 5), (14, 12), (12, 8)])
def test_few_subsets_are_enumerated_without_error(signals, m):
    matrix = correlated(signals, 4, seed=1)
    exact = np.mean([effective_number(matrix[np.ix_(s, s)]) for s in combinations(range(signals), m)])
    assert rarefied_number(matrix, m) == pytest.approx(exact, rel=1e-12)


def test_two_signals_have_the_closed_form_of_the_binary_entropy():
    matrix = correlated(9, 3, seed=2)
    pairs = [effective_number(matrix[np.ix_(s, s)]) for s in combinations(range(9), 2)]
    assert rarefied_duplication(matrix, 2) == pytest.approx(2 - np.mean(pairs), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(signals=st.integers(4, 24), rank=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_rarefied_duplication_grows_with_m_and_ends_at_duplication(signals, rank, seed):
    matrix = correlated(signals, rank, seed)
    values = [rarefied_duplication(matrix, m) for m in range(2, signals + 1)]
    assert np.diff(values).min() > -0.005
    assert values[-1] == duplication(matrix)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(2, 8))
def test_thinning_exchangeable_signals_leaves_rarefied_duplication_and_mean_similarity(seed, m):
    """The mean over random thinnings of a set is the value of the set."""
    matrix, generator = correlated(20, 5, seed), np.random.default_rng(seed)
    kept = [generator.choice(20, 10, replace=False) for _ in range(60)]
    thinned = [matrix[np.ix_(subset, subset)] for subset in kept]
    rarefied = [rarefied_duplication(part, m) for part in thinned]
    spread = np.std(rarefied, ddof=1) / np.sqrt(len(rarefied))
    assert abs(np.mean(rarefied) - rarefied_duplication(matrix, m)) < 5 * spread + 0.004
    means = [mean_similarity(part) for part in thinned]
    spread = np.std(means, ddof=1) / np.sqrt(len(means))
    assert abs(np.mean(means) - mean_similarity(matrix)) < 5 * spread + 1e-9


def test_draws_are_the_same_in_every_call_and_their_error_is_below_a_thousandth():
    matrix = correlated(40, 6, seed=3)
    assert rarefied_duplication(matrix, 12) == rarefied_duplication(matrix, 12)
    generator = np.random.default_rng(9)
    subsets = [generator.choice(40, 12, replace=False) for _ in range(6000)]
    exact = np.mean([effective_number(matrix[np.ix_(s, s)]) for s in subsets])
    assert rarefied_number(matrix, 12) == pytest.approx(exact, abs=0.004 * 11)


def test_the_ends_of_m():
    assert rarefied_number(np.eye(3), 1) == 1
    assert np.isnan(rarefied_number(np.eye(3), 4))
    assert np.isnan(rarefied_duplication(np.empty((0, 0)), 2))
    for call, m in ((rarefied_number, 0), (rarefied_duplication, 1)):
        with pytest.raises(ValueError, match=f"m is {m}"):
            call(np.eye(3), m)


def test_unrelated_signals_and_copies_have_the_limits():
    assert rarefied_duplication(np.eye(30), 10) == pytest.approx(0)
    assert rarefied_duplication(np.ones((30, 30)), 10) == pytest.approx(1)


def test_lags_separate_a_chain_from_equal_similarity():
    chain = 0.7 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    assert similarity_by_lag(chain) == pytest.approx(0.7 ** np.arange(1, 6))
    assert similarity_by_lag(equicorrelated(5, 0.2)) == pytest.approx(np.full(4, 0.2))
    assert similarity_by_lag(np.eye(1)).shape == (0,)


def test_pairs_without_a_value_are_left_out_of_the_similarity_by_lag() -> None:
    """A signal without a value given the loss, such as the classifier's, leaves the curve of the others."""
    similarity = np.array([[1.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 1.0]])
    wider = np.full((4, 4), np.nan)
    wider[:3, :3] = similarity
    with pytest.warns(RuntimeWarning, match="empty slice"):
        curve = similarity_by_lag(wider)
    assert curve[:2].tolist() == similarity_by_lag(similarity).tolist()
    assert np.isnan(curve[2])
