"""Merge the replicates and the arrays of several recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradlens.errors import GradlensError
from gradlens.graph.plan import Plan
from gradlens.graph.probes import Probe

Array = NDArray[np.float64]
Replicates = Sequence[tuple[int, int]]


def renumbered(recordings: Sequence[tuple[Replicates, Array]]) -> tuple[tuple[int, int], ...]:
    """Return the replicates of all recordings; a repeated batch number of a seed becomes its next free number.

    Args:
        recordings: (seed, batch) of the replicates and Grams ``[p, s, n, n]`` of each.

    Raises:
        GradlensError: two recordings hold the same replicate.
    """
    taken: dict[tuple[int, int], Array] = {}
    for replicates, grams in recordings:
        for index, (seed, batch) in enumerate(replicates):
            gram = grams[:, index]
            if (seed, batch) in taken and np.array_equal(taken[seed, batch], gram, equal_nan=True):
                raise GradlensError(
                    f"batch {batch} of seed {seed} is in both recordings; merge recordings of different batches"
                )
            while (seed, batch) in taken:
                batch += 1
            taken[seed, batch] = gram
    return tuple(taken)


def check_alike(plans: tuple[Plan, Plan], sizes: tuple[int, int], any_size: bool = False) -> None:
    """Raise unless two recordings can be merged.

    Args:
        plans: what each watches.
        sizes: samples per batch of each.
        any_size: whether their images may have different sizes.

    Raises:
        GradlensError: they differ in graph, batch size or sites.
    """
    first, second = plans
    alike_site = partial(Probe.same_site, any_size=any_size)
    same = len(first.probes) == len(second.probes) and all(map(alike_site, first.probes, second.probes))
    reasons = {
        "different graphs": first.graph.structure == second.graph.structure,
        f"batches of {sizes[0]} and {sizes[1]} samples": sizes[0] == sizes[1],
        "different sites": same,
    }
    wrong = [reason for reason, alike in reasons.items() if not alike]
    if wrong:
        raise GradlensError(f"recordings of {wrong[0]} cannot be merged; record both in the same way")


def concatenated(tables: Sequence[Mapping[int, Array]]) -> dict[int, Array]:
    """Concatenate the arrays of several recordings by number, along the replicates; those that all of them have."""
    shared = [number for number in tables[0] if all(number in table for table in tables)]
    return {number: np.concatenate([table[number] for table in tables]) for number in shared}


def largest(tables: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return the largest error of each group of the first table; NaN if no table has one."""
    return {
        group: float(np.fmax.reduce([table.get(group, np.nan) for table in tables])) for group in tables[0]
    }
