"""Whether a study with few seeds can find a difference that holds after the correction for its comparisons."""

from __future__ import annotations

import pandas as pd

from gradlens.catalogue import CLEAR, names
from gradlens.metrics.distributions import t_quantile

ENOUGH = 5
"""Seeds from which a real difference can pass the correction."""
HOPELESS = 20.0
"""Value of t above which a difference is not expected to be."""
HARDLY_ANY = "seeds hardly any difference can hold after the correction for"
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
    return float(-t_quantile(seeds - 1, CLEAR / comparisons / 2))


def too_few_seeds(seeds: int, pairs: int) -> str:
    """Return a warning, before the run, if hardly any difference can hold after the correction; else empty.

    One seed has intervals over its batches and a warning of its own.
    """
    return _warning(seeds, comparisons_of(pairs), "about ") if pairs else ""


def had_too_few_seeds(seeds: int, frame: pd.DataFrame) -> str:
    """Return the same warning about a table of a finished run, with the number of p-values that it corrects."""
    columns = [name for name in frame if str(name).endswith("p_holm")]
    return _warning(seeds, int(frame[columns].notna().to_numpy().sum()), "")


def is_about_power(text: str) -> bool:
    """Return whether a warning of a result is this one."""
    return HARDLY_ANY in text


def _warning(seeds: int, comparisons: int, about: str) -> str:
    if not comparisons or not 2 <= seeds < ENOUGH:
        return ""
    least = needed_t(seeds, comparisons)
    if seeds > 2 and least <= HOPELESS:
        return ""
    needed = f"{about}{comparisons} comparisons (|t| > {least:.0f} is needed)"
    return f"with {seeds} {HARDLY_ANY} {needed}; use seeds={ENOUGH}"
