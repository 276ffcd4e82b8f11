"""The size of a gradient at each step of a recurrence: does it vanish or explode along time?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from gradlens.analyzers.flow import DEAD, known_batches
from gradlens.graph.plan import Signal
from gradlens.graph.probes import Probe, SeriesProbe
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

UNSAMPLED = "its samples cannot be told"
NOT_CARRIED = (
    "carried: no later step is computed from this layer, so its gradient is that of the loss at each step"
)
NOTHING_ENTERS = "carried: no gradient enters the recurrence at its last step"
NO_PASS = "carried: the graph does not allow a second backward pass"


class Steps(NamedTuple):
    """The gradient of a layer at each step, as norms per sample.

    Attributes:
        signal: the layer.
        probe: its steps.
        norms: ``[t, s, n]``; NaN where the samples cannot be told.
        carried: ``[t, s, n]``, what the recurrence carries back from its last step; None if that is not known.
        elements: numbers per sample and step.
    """

    signal: Signal
    probe: SeriesProbe
    norms: Array
    carried: Array | None
    elements: Array

    @property
    def relative(self) -> Array:
        """The carried gradient at each step over that at the last step, ``[t]``; NaN if it is not known or zero.

        Means over the samples whose gradient enters at the last step: of a padded sample it may enter earlier.
        """
        if self.carried is None:
            return np.full(len(self.norms), np.nan)
        enters = self.carried[-1] > 0
        if not enters.any():
            return np.full(len(self.norms), np.nan)
        sizes = self.carried[:, enters].mean(axis=1) / np.sqrt(self.elements)
        return np.asarray(sizes / sizes[-1])


@dataclass(frozen=True)
class Times:
    """Size of the gradient of each recurrent layer at each step, one row per layer and step, over all replicates."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if no layer runs once per step of a recurrence."""
        rows = [row for steps in steps_of(recording) for row in _rows(recording, steps)]
        if not rows:
            return None
        return Table(
            "times",
            pd.DataFrame(rows),
            "Size of the gradient that each recurrent layer receives at each step.",
            how=(
                "rms: root mean square of a sample's elements of the gradient of the summed loss at that step, mean "
                "over the samples of all batches that have the step; relative: over that at the last step. carried: "
                "what arrives through the later steps alone. It is measured in a backward pass in which the gradient "
                "enters the recurrence at its last step only, over the size at the last step, so it shows what is "
                "forgotten also if the loss reads every step; equal to relative if the loss reads nothing else. Steps "
                "count in the order in which the layer runs them (a reverse layer starts at the end of the sequence); "
                "a layer that reads the earlier state has no first step if that state is zero."
            ),
            units={
                "rms": "gradient of the summed loss per sample and element",
                "carried": "1 at the last step",
            },
        )


def against(probe: SeriesProbe) -> str:
    """Return the two steps that are compared: ``step 1 against step 20``."""
    return f"step {probe.first} against step {probe.last}"


def steps_of(recording: Recording) -> Iterator[Steps]:
    """Yield the layers of a recording that run once per step of a recurrence."""
    for signal in recording.signals:
        probe = signal.probe
        if isinstance(probe, SeriesProbe):
            norms = np.stack([_norms(recording.grams[step]) for step in probe.steps])
            elements = [_elements(recording.plan.probes[step], recording.n) for step in probe.steps]
            carried = _carried(recording, probe, norms)
            yield Steps(signal, probe, norms, carried, np.array(elements, dtype=float))


def _elements(probe: Probe, n: int) -> int:
    """Return the numbers per sample at a step, of the samples that have the step."""
    rows = len(probe.rows) // (probe.outer or 1) if probe.rows else n
    return max(math.prod(probe.shape) // rows, 1)


def _norms(grams: Array) -> Array:
    """Return the norm of the gradient of each sample ``[s, n]``."""
    norms = np.sqrt(np.clip(np.diagonal(grams, axis1=-2, axis2=-1), 0.0, None))
    norms[~known_batches(grams)] = np.nan
    return norms


def _carried(recording: Recording, probe: SeriesProbe, norms: Array) -> Array | None:
    if not probe.carried or not np.isfinite(norms).all():
        return None
    if not recording.plan.exits:
        return norms
    if probe.steps[-1] not in recording.carried:
        return None
    zero = np.zeros_like(norms[0])
    return np.sqrt([recording.carried.get(step, zero) for step in probe.steps])


def _rows(recording: Recording, steps: Steps) -> Iterator[dict[str, object]]:
    sizes = steps.norms / np.sqrt(steps.elements)[:, None, None]
    packed = [bool(recording.plan.probes[step].rows) for step in steps.probe.steps]
    known = [
        step[np.isfinite(step) & ((step > 0) | (not some))] for step, some in zip(sizes, packed, strict=True)
    ]
    rms = np.array([step.mean() if len(step) else np.nan for step in known])
    relative = rms / rms[-1] if rms[-1] > 0 else np.full_like(rms, np.nan)
    reason = _reason(recording, steps, rms)
    for index, carried in enumerate(steps.relative):
        yield {
            "network": recording.name,
            "stage": steps.signal.stage,
            "signal": steps.signal.name,
            "step": steps.probe.first + index,
            "steps": steps.probe.last,
            "rms": float(rms[index]),
            "rms_spread": float(known[index].std()) if len(known[index]) else float("nan"),
            "relative": float(relative[index]),
            "carried": float(carried),
            "reason": reason,
        }


def _reason(recording: Recording, steps: Steps, rms: Array) -> str:
    """Return why values are missing; empty if none is."""
    if not np.isfinite(rms).all():
        return UNSAMPLED
    if not rms.any():
        return DEAD
    if not steps.probe.carried:
        return NOT_CARRIED
    if steps.carried is None:
        return NO_PASS if recording.plan.exits else UNSAMPLED
    return "" if np.isfinite(steps.relative).all() else NOTHING_ENTERS
