"""Numbers and lengths of paths, checked against enumeration and closed forms."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlens.metrics import Step, mean_jaccard, mean_length, path_counts, path_shares, reuse


@st.composite
def graphs(draw):
    """Draw a DAG with root 0 and ordered, sometimes repeated steps, and the flags of its layers."""
    nodes = draw(st.integers(2, 7))
    steps = []
    for producer in range(1, nodes):
        consumers = draw(st.lists(st.integers(0, producer - 1), min_size=0, max_size=4))
        steps += [Step(consumer, producer) for consumer in consumers]
    return (
        nodes,
        sorted(steps, key=lambda step: step.consumer),
        draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes)),
    )


def enumerated(nodes, steps, layers):
    """Walk each path and sum the products of its shares, by length."""
    totals = [Counter() for _ in range(nodes)]
    ready = [(0, 0, 1.0)]
    while ready:
        node, length, weight = ready.pop()
        totals[node][length] += weight
        for consumer, producer, share in steps:
            if consumer == node:
                ready.append((producer, length + layers[node], weight * share))
    return totals


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_counts_equal_enumeration(graph):
    for counts, walked in zip(path_counts(*graph), enumerated(*graph), strict=True):
        assert {k: c for k, c in enumerate(counts) if c} == {k: int(c) for k, c in walked.items()}


@settings(max_examples=200, deadline=None)
@given(graphs(), st.randoms(use_true_random=False))
def test_shares_equal_the_sums_of_products_along_the_paths(graph, random):
    nodes, steps, layers = graph
    weights = [0.1 + random.random() for _ in steps]
    totals = Counter()
    for step, weight in zip(steps, weights, strict=True):
        totals[step.producer] += weight
    shared = [
        step._replace(share=weight / totals[step.producer])
        for step, weight in zip(steps, weights, strict=True)
    ]
    for shares, walked in zip(
        path_shares(nodes, shared, layers), enumerated(nodes, shared, layers), strict=True
    ):
        assert sum(walked.values()) == pytest.approx(sum(shares), abs=1e-12)
        for length, weight in walked.items():
            assert shares[length] == pytest.approx(weight, abs=1e-12)


def residual(blocks):
    """Return a chain of residual blocks: node 2k is the addition of block k, node 2k + 1 its layer."""
    steps = []
    for block in range(blocks):
        add, layer, input_ = 2 * block, 2 * block + 1, 2 * block + 2
        steps += [Step(add, layer, 0.5), Step(add, input_, 0.5), Step(layer, input_, 0.5)]
    return 2 * blocks + 1, steps, [node % 2 == 1 for node in range(2 * blocks + 1)]


def test_a_residual_chain_has_binomial_lengths_exactly():
    """Veit, Wilber & Belongie 2016: 54 blocks have 2^54 paths; 98.0 % of them pass 19 to 35 blocks."""
    counts = path_counts(*residual(54))[-1]
    assert counts == [math.comb(54, k) for k in range(55)]
    assert sum(counts) == 2**54
    assert round(100 * sum(counts[5:18]) / sum(counts), 4) == 0.4537
    assert round(100 * sum(counts[19:36]) / sum(counts), 1) == 98.0


def test_counts_are_exact_beyond_the_range_of_floats():
    assert sum(path_counts(*residual(300))[-1]) == 2**300


def test_equal_energies_give_binomial_lengths():
    nodes, steps, layers = residual(10)
    even = [step._replace(share=1.0 if step.producer % 2 else 0.5) for step in steps]
    shares = path_shares(nodes, even, layers)[-1]
    assert np.allclose(shares, [math.comb(10, k) / 2**10 for k in range(11)])


def test_two_steps_between_the_same_nodes_are_two_paths():
    assert path_counts(2, [Step(0, 1), Step(0, 1)], [False, False])[1] == [2]


def test_an_unreachable_node_has_no_paths():
    steps = [Step(0, 1), Step(2, 3)]
    layers = [False] * 4
    assert path_counts(4, steps, layers)[3] == []
    assert path_shares(4, steps, layers)[3].sum() == 0
    assert math.isnan(mean_length(path_counts(4, steps, layers)[3]))


@pytest.mark.parametrize("layers", [2, 3, 7, 24])
def test_the_sources_of_a_dense_block_overlap_by_a_half(layers):
    """Layer l of L is read by the layers after it and by the reader of the whole block."""
    sets = [frozenset(range(layer + 1, layers + 2)) for layer in range(1, layers + 1)]
    assert mean_jaccard(sets) == pytest.approx(0.5, abs=1e-12)
    layers_fed = reuse(dict(zip(range(1, layers + 1), sets, strict=True)))
    assert layers_fed == {source: source - 1 for source in range(2, layers + 2)}


def test_a_chain_has_no_structural_duplication():
    assert mean_jaccard([frozenset({layer + 1}) for layer in range(5)]) == 0.0
    assert math.isnan(mean_jaccard([frozenset({1})]))
    assert mean_jaccard([frozenset({1}), frozenset({1})]) == 1.0
