"""How large the gradients are and how many directions they span, over depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.replicates import mean_known
from gradlens.analyzers.signals import WHOLE, members
from gradlens.metrics import (
    confusion,
    effective_rank,
    gradient_diversity,
    participation_ratio,
    slope,
    stable_rank,
    stiffness,
)
from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class Flow:
    """Size, rank and agreement of each signal, a row a signal, over all replicates."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table: of the signals, and of every other watched gradient where all were recorded."""
        named = dict(zip(recording.plan.signals, [signal.name for signal in recording.signals], strict=True))
        every = (
            range(len(recording.plan.probes)) if recording.provenance.sites == "all" or not named else named
        )
        numbers = [number for number in every if recording.plan.probes[number].outer is not None]
        numbers.sort(key=lambda number: recording.plan.probes[number].order)
        if not numbers:
            return None
        rows = [_row(recording, number, named.get(number), order) for order, number in enumerate(numbers)]
        return Table(
            "flow",
            pd.DataFrame(rows),
            "Size, rank and agreement over samples of the gradient that each weighted layer receives.",
            how=(
                "All from the per-sample Gram K of the summed loss's gradient, not centred; rms is per sample "
                "and element. Effective rank: exp of the entropy of the singular values (Roy & Vetterli 2007). "
                "Diversity Σ‖g‖²/‖Σg‖² (Yin 2018); stiffness: mean cosine between samples within and across "
                "classes (Fort 2019); confusion: the most negative cosine (Sankararaman 2020). Depth: "
                "weighted layers on the longest way from the input."
            ),
            units={
                "depth": "weighted layers",
                "rms": "gradient of the summed loss per sample and element",
                "norm": "per sample",
                "effective_rank": "1 to n",
                "diversity": "1/n all agree, 1 orthogonal",
            },
        )


def _row(recording: Recording, number: int, signal: str | None, order: int) -> dict[str, Any]:
    probe = recording.plan.probes[number]
    grams = recording.grams[number]
    squares = np.clip(np.diagonal(grams, axis1=-2, axis2=-1), 0.0, None)
    norms = np.sqrt(squares)
    rms = norms / np.sqrt(probe.elements(recording.n))
    labels = recording.labels
    per_batch = mean_known(
        np.array(
            [_spectrum(gram, None if labels is None else labels[place]) for place, gram in enumerate(grams)]
        )
    )
    return {
        "network": recording.name,
        "stage": probe.stage,
        "signal": signal or probe.name,
        "role": "signal" if signal else "other",
        "order": order,
        "depth": probe.depth,
        "rms": float(rms.mean()),
        "rms_spread": float(rms.std()),
        "norm": float(norms.mean()),
        **dict(zip(_COLUMNS, per_batch.tolist(), strict=True)),
        "dead": not squares.any(),
    }


_COLUMNS = (
    "effective_rank",
    "stable_rank",
    "participation_ratio",
    "diversity",
    "stiffness_within",
    "stiffness_across",
    "confusion",
)


def _spectrum(gram: Any, labels: Any) -> list[float]:
    within, across = stiffness(gram, labels)
    return [
        effective_rank(gram),
        stable_rank(gram),
        participation_ratio(gram),
        gradient_diversity(gram),
        within,
        across,
        confusion(gram),
    ]


def flow_slope(recording: Recording, stage: str = WHOLE) -> float:
    """Slope of log10 RMS of the live signals over depth, in decades a layer; NaN below two depths.

    Negative where the gradient grows towards the input: depth counts from the input.
    """
    numbers = [recording.plan.signals[place] for place in members(recording, stage)]
    depths, logs = [], []
    for number in numbers:
        probe = recording.plan.probes[number]
        squares = np.diagonal(recording.grams[number], axis1=-2, axis2=-1)
        if probe.outer is not None and squares.any():
            rms = np.sqrt(np.clip(squares, 0.0, None) / probe.elements(recording.n)).mean()
            depths.append(float(probe.depth))
            logs.append(float(np.log10(rms)))
    return slope(np.array(depths), np.array(logs))
