"""Means and intervals over replicates: over seeds, or over the batches of one seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradlens.metrics import half_widths
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording

HALF_WIDTHS = (
    "Columns that end in reach: half-width of the 95 % t interval over seeds, or over the batches (jackknife) of a "
    "single seed."
)
"""Sentence that explains the columns ``*_reach``."""
Measure = Callable[..., Mapping[str, Array]]


@dataclass(frozen=True)
class Replicated:
    """Values of a measure by name.

    Attributes:
        per_seed: in each seed, ``[s, ...]``.
        means: over the seeds in which a value is defined.
        half_widths: of the 95 % interval of the means.
    """

    per_seed: Mapping[str, Array]
    means: Mapping[str, Array]
    half_widths: Mapping[str, Array]


def over_replicates(measure: Measure, *recordings: Recording) -> Replicated:
    """Compute a measure in each seed, with intervals over seeds or, for a single seed, over its batches.

    Args:
        measure: maps recordings of one seed to arrays by name, without side effects.
        *recordings: of the same seeds and batches.
    """
    seeds = recordings[0].seeds
    values = [measure(*(recording.of_seed(seed) for recording in recordings)) for seed in seeds]
    per_seed = {name: np.stack([np.asarray(value[name]) for value in values]) for name in values[0]}
    over_seeds = {name: half_widths(stacked) for name, stacked in per_seed.items()}
    means = {name: mean_known(stacked) for name, stacked in per_seed.items()}
    return Replicated(per_seed, means, over_seeds | _jackknife(measure, recordings, values[0]))


def batch_half_widths(measure: Measure, *recordings: Recording, level: float = 0.95) -> dict[str, Array]:
    """Return the half-widths of the t intervals over the batches of one seed, by the jackknife.

    A similarity is a ratio of averages over batches, so a single batch has no value. The measure is therefore
    repeated without each batch, and the t interval is computed from the pseudo-values ``s θ − (s − 1) θ₍₋ᵢ₎`` (Tukey
    1958). It shows how much other samples would change a number, not how much other initial weights would. A
    value that depends on one batch only (a signal that is dead in the others) has no interval.

    Args:
        measure: maps recordings to arrays by name.
        *recordings: of the same batches.
        level: coverage.

    Returns:
        By name; empty for several seeds, for fewer than ``recording.BATCHES`` batches, or for different ones.
    """
    return _jackknife(measure, recordings, None, level)


def _jackknife(
    measure: Measure,
    recordings: Sequence[Recording],
    whole: Mapping[str, Array] | None,
    level: float = 0.95,
) -> dict[str, Array]:
    """Return ``batch_half_widths``; ``whole`` is the measure over all batches if it is already known, else None."""
    same = len({recording.replicates for recording in recordings}) == 1
    if not same or any(recording.noise != "batches" for recording in recordings):
        return {}
    count = len(recordings[0].replicates)
    whole = measure(*recordings) if whole is None else whole
    without = [
        measure(*(recording.take([k for k in range(count) if k != left_out]) for recording in recordings))
        for left_out in range(count)
    ]
    widths = {}
    for name, value in whole.items():
        pseudo = np.stack(
            [count * np.asarray(value) - (count - 1) * np.asarray(rest[name]) for rest in without]
        )
        known = np.isfinite(pseudo).all(axis=0)
        widths[name] = np.where(known, half_widths(pseudo, level), np.nan)
    return widths


def mean_known(values: np.ndarray) -> np.ndarray:
    """Return the mean over axis 0 without NaN values; NaN if all are NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of an empty slice is NaN, as intended
        return np.asarray(np.nanmean(values, axis=0))
