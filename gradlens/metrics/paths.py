"""Gradient paths of a network: their number, lengths and sources, by dynamic programming.

A path leads from the loss backwards to a node; its length is the number of layers on it. No path is
enumerated, and the counts are exact integers of any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from gradlens.metrics.hsic import Array


class Step(NamedTuple):
    """The gradient passes from ``consumer`` to ``producer``.

    Attributes:
        consumer: node nearer to the loss.
        producer: node farther from the loss.
        share: share of the producer's gradient that comes along this step; counts ignore it.
    """

    consumer: int
    producer: int
    share: float = 1.0


def path_counts(nodes: int, steps: Sequence[Step], layers: Sequence[bool]) -> list[list[int]]:
    """Number of paths from the loss by length: the coefficients of one polynomial per node.

    Args:
        nodes: node 0 is the loss.
        steps: the steps into a node before the steps out of it; two steps between the same nodes are two paths.
        layers: by node, whether it adds 1 to the length of a path through it; the last node of a path does not count.

    Returns:
        By node, entry ``k`` is the number of paths of length ``k``; empty if no path arrives.

    >>> residual = [Step(0, 1), Step(1, 2), Step(2, 3), Step(1, 3)]  # an add, a layer, their input
    >>> path_counts(4, residual, [False, False, True, False])[3]
    [1, 1]
    """
    counts: list[list[int]] = [[] for _ in range(nodes)]
    counts[0] = [1]
    for consumer, producer, _ in steps:
        passed = [0, *counts[consumer]] if layers[consumer] and counts[consumer] else counts[consumer]
        counts[producer] = _added(counts[producer], passed)
    return counts


def path_shares(nodes: int, steps: Sequence[Step], layers: Sequence[bool]) -> list[Array]:
    """Distribution of a gradient over the lengths of its paths, one per node.

    The energy shares of each fork are used as probabilities, as if its contributions were orthogonal;
    their cross terms are dropped (the coherence of a fork shows how large they are).

    Args:
        nodes: as in ``path_counts``.
        steps: the shares of the steps into a producer sum to 1, or to 0 if nothing arrives.
        layers: as in ``path_counts``.

    Returns:
        By node, entry ``k`` is the share of length ``k``.
    """
    shares = [np.zeros(0) for _ in range(nodes)]
    shares[0] = np.ones(1)
    for consumer, producer, share in steps:
        passed = shares[consumer] * share
        if layers[consumer] and len(passed):
            passed = np.concatenate([[0.0], passed])
        longest = max(len(shares[producer]), len(passed))
        shares[producer] = _padded(shares[producer], longest) + _padded(passed, longest)
    return shares


def mean_length(weights: Sequence[int] | Array) -> float:
    """Weighted mean of the lengths ``0, 1, …``, exact for integers; NaN if all are 0.

    >>> mean_length([1, 2, 1])
    1.0
    """
    total = sum(weights)
    return float(sum(k * w for k, w in enumerate(weights)) / total) if total > 0 else float("nan")


def mean_jaccard(sets: Sequence[frozenset[int]]) -> float:
    """Mean of ``|A ∩ B| / |A ∪ B|`` over all pairs; NaN for fewer than two sets.

    For the layers of a dense block in front of one reader it is 1/2 for any number of layers; in a
    chain, where each layer has its own source, it is 0.

    >>> mean_jaccard([frozenset({1, 2}), frozenset({2})])
    0.5
    """
    pairs = list(combinations(sets, 2))
    if not pairs:
        return float("nan")
    return sum(len(a & b) / max(len(a | b), 1) for a, b in pairs) / len(pairs)


def reuse(sources: Mapping[int, frozenset[int]]) -> dict[int, int]:
    """Return the number of layers that each source passes its gradient to.

    Args:
        sources: by layer.

    >>> reuse({1: frozenset({2, 3}), 2: frozenset({3})})
    {2: 1, 3: 2}
    """
    counted: dict[int, int] = {}
    for layer_sources in sources.values():
        for source in layer_sources:
            counted[source] = counted.get(source, 0) + 1
    return dict(sorted(counted.items()))


def _added(first: list[int], second: list[int]) -> list[int]:
    short, long = sorted((first, second), key=len)
    return [a + b for a, b in zip(short, long, strict=False)] + long[len(short) :]


def _padded(values: Array, length: int) -> Array:
    return np.pad(values, (0, length - len(values)))
