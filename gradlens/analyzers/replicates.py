"""Means and intervals over replicates: over seeds, or over the batches of one seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gradlens.metrics import half_widths
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording

REACH = "reach: half the 95 % t interval over seeds, or over the batches (jackknife) where there is one seed."
"""What a column that ends in reach holds."""
Measure = Callable[..., Mapping[str, Array]]


def over_replicates(measure: Measure, *recordings: Recording) -> tuple[dict[str, Array], dict[str, Array]]:
    """Means over seeds and half the width of their interval, by name.

    Args:
        measure: recordings of one seed to arrays by name.
        *recordings: of the same seeds and batches.
    """
    seeds = recordings[0].seeds
    found = [measure(*(recording.of_seed(seed) for recording in recordings)) for seed in seeds]
    stacked = {name: np.stack([one[name] for one in found]) for name in found[0]}
    reach = {name: half_widths(values) for name, values in stacked.items()}
    means = {name: mean_known(values) for name, values in stacked.items()}
    return means, reach | _jackknife(measure, recordings, found[0])


def batch_reach(measure: Measure, *recordings: Recording, level: float = 0.95) -> dict[str, Array]:
    """Half the t interval of what one seed's batches say, by the jackknife.

    A similarity is a ratio of averages over batches, so no single batch has a value of its own: the measure is
    taken again without each batch, and the interval is that of the pseudo-values ``s θ − (s − 1) θ₍₋ᵢ₎`` (Tukey
    1958). It tells how far other samples would change a number, not what other initial weights would. Where a
    value rests on one batch (a signal that is dead in the others), it has no interval.

    Args:
        measure: recordings to arrays by name.
        *recordings: of the same batches.
        level: coverage.

    Returns:
        By name; empty where there are several seeds, fewer than ``recording.BATCHES`` batches, or different ones.
    """
    return _jackknife(measure, recordings, None, level)


def _jackknife(
    measure: Measure,
    recordings: Sequence[Recording],
    whole: Mapping[str, Array] | None,
    level: float = 0.95,
) -> dict[str, Array]:
    """``batch_reach``; ``whole`` is what the measure says of all batches, where that is known already."""
    same = len({recording.replicates for recording in recordings}) == 1
    if not same or any(recording.noise != "batches" for recording in recordings):
        return {}
    count = len(recordings[0].replicates)
    whole = measure(*recordings) if whole is None else whole
    left = [
        measure(*(recording.take([k for k in range(count) if k != out]) for recording in recordings))
        for out in range(count)
    ]
    found = {}
    for name, value in whole.items():
        pseudo = np.stack([count * np.asarray(value) - (count - 1) * np.asarray(one[name]) for one in left])
        known = np.isfinite(pseudo).all(axis=0)
        found[name] = np.where(known, half_widths(pseudo, level), np.nan)
    return found


def mean_known(values: np.ndarray) -> np.ndarray:
    """Mean over axis 0 without NaN; NaN where all are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # mean of an empty slice is the NaN we want
        return np.asarray(np.nanmean(values, axis=0))
