"""Merge the replicates and the arrays of several recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gradlens.errors import GradlensError

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


def concatenated(tables: Sequence[Mapping[int, Array]]) -> dict[int, Array]:
    """Concatenate the arrays of several recordings by number, along the replicates; those that all of them have."""
    shared = [number for number in tables[0] if all(number in table for table in tables)]
    return {number: np.concatenate([table[number] for table in tables]) for number in shared}


def largest(tables: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Return the largest error of each group of the first table; NaN if no table has one."""
    return {
        group: float(np.fmax.reduce([table.get(group, np.nan) for table in tables])) for group in tables[0]
    }
