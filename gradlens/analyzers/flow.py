"""How large the gradients are and how many directions they span, over depth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradlens.analyzers.remembering import cached_by_recording
from gradlens.analyzers.replicates import mean_known
from gradlens.analyzers.signals import WHOLE, signals_of, stages_of
from gradlens.graph.plan import Signal
from gradlens.metrics import cosines_of_samples, diversities, ranks, slope
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

DEAD = "exactly zero at this state"
CANCELLED = (
    "diversity: the gradients of the samples cancel in their sum, as in front of a BatchNorm that sees one position "
    "per sample"
)


@dataclass(frozen=True)
class Flow:
    """Size, rank and agreement of each signal, one row per signal, over all replicates."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table of the signals (of all watched gradients if all edges were recorded), or None if empty."""
        rows = _rows(recording)
        if not rows:
            return None
        return Table(
            "flow",
            pd.DataFrame(rows),
            "Size, rank and agreement over samples of the gradient that each weighted layer receives.",
            how=(
                "All from the per-sample Gram K of the summed loss's gradient, not centred; rms: root mean "
                "square of a sample's elements, mean and standard deviation (rms_spread) over the samples of all "
                "batches; the other columns: mean over batches. Effective rank: exp of the entropy of the singular "
                "values (Roy & Vetterli 2007). "
                "Diversity Σ‖g‖²/‖Σg‖² (Yin 2018); stiffness: mean cosine between samples within and across "
                "classes (Fort 2019); confusion: the most negative cosine (Sankararaman 2020). Eigenvalues of K below "
                "1e-7 of the largest count as rounding and are left out of the ranks. Depth: "
                "weighted layers on the longest path from the input."
            ),
            units={
                "depth": "weighted layers",
                "rms": "gradient of the summed loss per sample and element",
                "norm": "per sample",
                "effective_rank": "1 to n",
                "diversity": "1/n all agree, 1 orthogonal",
            },
        )


@cached_by_recording
def _rows(recording: Recording) -> list[dict[str, object]]:
    """Return the rows of the table in forward order."""
    signals = {signal.number: signal for signal in recording.signals}
    gradients = list(signals.values())
    if recording.provenance.sites == "all" or not signals:
        probes = enumerate(recording.plan.probes)
        gradients = [signals.get(number) or Signal(number, probe.name, probe) for number, probe in probes]
    gradients = sorted(
        (g for g in gradients if g.sampled and known_batches(recording.grams[g.number]).any()),
        key=lambda gradient: gradient.probe.order,
    )
    return [
        _row(recording, gradient, "signal" if gradient.number in signals else "other", order)
        for order, gradient in enumerate(gradients)
    ]


def _row(recording: Recording, gradient: Signal, role: str, order: int) -> dict[str, object]:
    probe, labels, known = gradient.probe, recording.labels, known_batches(recording.grams[gradient.number])
    grams = recording.grams[gradient.number][known]
    labels = None if labels is None else labels[known]
    squares = np.clip(np.diagonal(grams, axis1=-2, axis2=-1), 0.0, None)
    norms = np.sqrt(squares)
    rms = norms / np.sqrt(max(probe.elements(recording.n), 1))
    spectrum = dict(zip(_SPECTRUM, mean_known(_spectrum(grams, labels)).tolist(), strict=True))
    cancels = math.isinf(spectrum["diversity"])
    reasons = list(_missing(spectrum, labelled=labels is not None))
    if not known.all():
        reasons.insert(0, f"its samples cannot be told in {(~known).sum()} of {len(known)} batches")
    return {
        "network": recording.name,
        "stage": probe.stage,
        "signal": gradient.name,
        "role": role,
        "order": order,
        "depth": probe.depth,
        "rms": float(rms.mean()),
        "rms_spread": float(rms.std()),
        "norm": float(norms.mean()),
        **spectrum,
        "diversity": float("nan") if cancels else spectrum["diversity"],
        "dead": not squares.any(),
        "reason": DEAD if not squares.any() else "; ".join(reasons),
    }


def known_batches(grams: Array) -> NDArray[np.bool_]:
    """Return the batches in which the samples of a gradient can be told, ``[s]``."""
    return np.asarray(np.isfinite(grams).all(axis=(1, 2)))


def _missing(spectrum: Mapping[str, float], labelled: bool) -> Iterator[str]:
    """Yield why a live signal has no value in some of the columns ``_SPECTRUM``."""
    if math.isinf(spectrum["diversity"]):
        yield CANCELLED
    for column, pair in (("stiffness_within", "one class"), ("stiffness_across", "different classes")):
        if math.isnan(spectrum[column]):
            yield (
                f"{column}: no two samples of {pair} have a gradient" if labelled else f"{column}: no labels"
            )
    if math.isnan(spectrum["confusion"]):
        yield "confusion: fewer than two samples have a gradient"


_SPECTRUM = (
    "effective_rank",
    "stable_rank",
    "participation_ratio",
    "diversity",
    "stiffness_within",
    "stiffness_across",
    "confusion",
)


def _spectrum(grams: Array, labels: NDArray[np.int64] | None) -> Array:
    """Return the values of the columns ``_SPECTRUM`` in each batch, ``[s, columns]``."""
    within, across, confused = cosines_of_samples(grams, labels)
    return np.stack([*ranks(grams), diversities(grams), within, across, confused], axis=-1)


def flow_slopes(recording: Recording) -> dict[str, float]:
    """Return the flow slope of each stage and of the whole network."""
    return {stage: flow_slope(recording, stage) for stage in (*stages_of(recording), WHOLE)}


def flow_slope(recording: Recording, stage: str = WHOLE) -> float:
    """Return the slope of log10 RMS of the live signals over depth, in decades per layer; NaN below two depths.

    Negative if the gradient grows towards the input: depth counts from the input.
    """
    depths, logs = [], []
    for index in signals_of(recording, stage):
        signal = recording.signals[index]
        grams = recording.grams[signal.number]
        squares = np.diagonal(grams[known_batches(grams)], axis1=-2, axis2=-1)
        if signal.sampled and squares.any():
            rms = np.sqrt(np.clip(squares, 0.0, None) / signal.probe.elements(recording.n)).mean()
            depths.append(float(signal.probe.depth))
            logs.append(float(np.log10(rms)))
    return slope(np.array(depths), np.array(logs))
