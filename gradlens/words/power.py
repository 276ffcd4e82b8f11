"""Whether a study with few seeds can find a difference that holds after the correction for its comparisons."""

from __future__ import annotations

from scipy.special import stdtrit

from gradlens.catalogue import CLEAR, names

ENOUGH = 5
"""Seeds from which a real difference can pass the correction."""
HOPELESS = 20.0
"""Value of t above which a difference is not expected to be."""
STAGES = 5
"""Usual number of stages with several layers, the whole network included; the real one is known after the run only."""


def comparisons_of(pairs: int) -> int:
    """Return about how many p-values a study corrects: of all tested quantities, at all stages.

    Args:
        pairs: of networks that are compared. Two networks have no correlation of bypass and dense branch.
    """
    tested = names("comparison", tested=True) if pairs == 1 else names(tested=True)
    return pairs * STAGES * len(tested)


def needed_t(seeds: int, comparisons: int) -> float:
    """Return the least |t| of a paired difference that passes the first step of Holm's correction.

    Args:
        seeds: number of paired differences, at least 2.
        comparisons: number of p-values that are corrected together.
    """
    return float(-stdtrit(seeds - 1, CLEAR / comparisons / 2))


def too_few_seeds(seeds: int, pairs: int) -> str:
    """Return a warning, before the run, if hardly any difference can hold after the correction; else empty.

    One seed has intervals over its batches and a warning of its own.
    """
    if pairs < 1 or not 2 <= seeds < ENOUGH:
        return ""
    comparisons = comparisons_of(pairs)
    least = needed_t(seeds, comparisons)
    if seeds > 2 and least <= HOPELESS:
        return ""
    return (
        f"{seeds} seeds cannot pass the correction over about {comparisons} hypotheses unless |t| > "
        f"{least:.0f}; use seeds={ENOUGH}"
    )
