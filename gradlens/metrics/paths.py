"""Gradient paths of a network: how many, how long, and from where, by dynamic programming.

A path leads from the loss backwards to a node; its length is the number of layers on it. Nothing is
enumerated, and the counts are exact integers however large they get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from gradlens.metrics.hsic import Array


class Step(NamedTuple):
    """The gradient of ``consumer`` goes on to ``producer``.

    Attributes:
        consumer: nearer to the loss.
        producer: farther from it.
        share: of the producer's gradient that comes this way; not used by counts.
    """

    consumer: int
    producer: int
    share: float = 1.0


def path_counts(nodes: int, steps: Sequence[Step], layers: Sequence[bool]) -> list[list[int]]:
    """Number of paths from the loss by length: the coefficients of one polynomial a node.

    Args:
        nodes: node 0 is the loss.
        steps: those into a node before those out of it; two of the same nodes are two paths.
        layers: which nodes a path counts as it passes; the node where it ends is not passed.

    Returns:
        By node, entry ``k`` is the number of paths of length ``k``; empty where none arrives.

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
    """Distribution of a gradient over the lengths of the paths it came by, one a node.

    Each fork's energy shares are taken for probabilities, as if its contributions were orthogonal;
    their cross terms are dropped (the coherence of a fork says how large they are).

    Args:
        nodes: as in ``path_counts``.
        steps: the shares of the steps into a producer sum to 1, or to 0 where nothing arrives.
        layers: as in ``path_counts``.

    Returns:
        By node, entry ``k`` is the share of length ``k``.
    """
    found = [np.zeros(0) for _ in range(nodes)]
    found[0] = np.ones(1)
    for consumer, producer, share in steps:
        passed = found[consumer] * share
        if layers[consumer] and len(passed):
            passed = np.concatenate([[0.0], passed])
        longest = max(len(found[producer]), len(passed))
        found[producer] = _padded(found[producer], longest) + _padded(passed, longest)
    return found


def mean_length(weights: Sequence[int] | Array) -> float:
    """Mean of the lengths ``0, 1, …`` under these weights, exact for integers; NaN where all are 0.

    >>> mean_length([1, 2, 1])
    1.0
    """
    total = sum(weights)
    return float(sum(k * w for k, w in enumerate(weights)) / total) if total > 0 else float("nan")


def mean_jaccard(sets: Sequence[frozenset[int]]) -> float:
    """Mean of ``|A ∩ B| / |A ∪ B|`` over all pairs; NaN for fewer than two sets.

    Over the layers of a dense block in front of one reader it is 1/2, whatever their number; in a
    chain, where each layer has a source of its own, it is 0.

    >>> mean_jaccard([frozenset({1, 2}), frozenset({2})])
    0.5
    """
    pairs = list(combinations(sets, 2))
    if not pairs:
        return float("nan")
    return sum(len(a & b) / max(len(a | b), 1) for a, b in pairs) / len(pairs)


def reuse(sources: Mapping[int, frozenset[int]]) -> dict[int, int]:
    """How many layers each source hands its gradient to.

    Args:
        sources: by layer.

    >>> reuse({1: frozenset({2, 3}), 2: frozenset({3})})
    {2: 1, 3: 2}
    """
    counted: dict[int, int] = {}
    for own in sources.values():
        for source in own:
            counted[source] = counted.get(source, 0) + 1
    return dict(sorted(counted.items()))


def _added(first: list[int], second: list[int]) -> list[int]:
    short, long = sorted((first, second), key=len)
    return [a + b for a, b in zip(short, long, strict=False)] + long[len(short) :]


def _padded(values: Array, length: int) -> Array:
    return np.pad(values, (0, length - len(values)))
