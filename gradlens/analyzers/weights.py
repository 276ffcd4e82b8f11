"""Tables of weight space only: noise of the gradient, reuse of a source, duplication between its readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from gradlens.analyzers.replicates import HALF_WIDTHS, mean_known, over_replicates
from gradlens.analyzers.signals import WHOLE, signals_of, stages_of
from gradlens.analyzers.similarity import similarity_of
from gradlens.catalogue.versions import VERSIONS
from gradlens.graph.plan import Slice
from gradlens.metrics import (
    duplication,
    mean_interval,
    mean_similarity,
    noise,
    noise_scale,
    rarefied_duplication,
    signal_to_noise,
)
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

PAIR = 2
"""Readers of the rarefied duplication, which every source in the table has."""
MEASURES = ("duplication", "rarefied_duplication", "mean_similarity")
UNCLEAR = "the mean gradient cannot be distinguished from 0 with so few samples"
Order = TypeVar("Order", int, tuple[int, str])


@dataclass(frozen=True)
class NoiseScale:
    """Signal and noise of the weight gradients, one row per stage and one for the whole network.

    Attributes:
        level: coverage of the interval over seeds.
    """

    level: float = 0.95

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None outside weight space."""
        if not recording.in_weight_space:
            return None
        rows = [self._row(recording, stage) for stage in [*stages_of(recording), WHOLE]]
        return Table(
            "noise",
            pd.DataFrame(rows),
            "Signal and noise of the weight gradients of a stage.",
            how=(
                "From Grams of per-sample weight gradients, added over the stage's weights (no biases): tr Σ and "
                "|G|² unbiased, averaged over a seed's batches before dividing (McCandlish et al. 2018, arXiv "
                f"1812.06162, appendix A.1), then mean over seeds. Empty if, in any seed, {UNCLEAR}. In train mode "
                "BatchNorm couples the samples of a batch; then both are approximate."
            ),
            units={
                "noise_scale": "samples",
                "signal_to_noise": "|G|² / tr Σ of one sample",
                "variance": "tr Σ of one sample's gradient",
            },
        )

    def _row(self, recording: Recording, stage: str) -> dict[str, object]:
        signals = [recording.signals[index] for index in signals_of(recording, stage)]
        numbers = [signal.number for signal in signals if signal.sampled]
        scales, ratios, variances = [], [], []
        for seed in recording.seeds:
            grams = recording.of_seed(seed).grams[numbers].sum(axis=0)
            terms = [noise(gram) for gram in grams]
            scales.append(noise_scale(terms))
            ratios.append(signal_to_noise(terms))
            variances.append(float(np.mean([term.variance for term in terms])))
        clear = bool(
            np.isfinite(scales).all()
        )  # a mean over the seeds that happen to be clear would be too small
        mean, low, high = mean_interval(np.array(scales) if clear else np.array([]), self.level)
        return {
            "network": recording.name,
            "stage": stage,
            "weights": len(numbers),
            "noise_scale": mean,
            "noise_scale_low": low,
            "noise_scale_high": high,
            "signal_to_noise": float(np.mean(ratios)) if clear else np.nan,
            "variance": float(mean_known(np.array(variances))),
            "reason": "" if clear else UNCLEAR,
        }


@dataclass(frozen=True)
class Reuse:
    """The gradient version of DenseNet's reuse map, one row per layer and source that it reads.

    Huang et al. 2017, figure 5, shows the mean weight from source s to layer l; this table has the size of the
    gradient of these weights.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if no layer reads several sources."""
        slices = recording.plan.slices
        if not recording.in_weight_space or all(part.probe in recording.plan.signals for part in slices):
            return None
        energies = {
            signal.probe.node: recording.energies[signal.number].sum() for signal in recording.signals
        }
        return Table(
            "reuse",
            pd.DataFrame([_reuse_row(recording, part, energies) for part in slices]),
            "Size of the gradient of each layer's weights, by the source whose channels they read.",
            how=(
                "rms: per sample and weight, of dL/dW_j[:, slice s]: root mean square over the samples of a batch, "
                "mean over batches; share: of the energy of the whole weight's gradient, over all replicates. The "
                "gradient version of the reuse map of DenseNet (Huang et al. 2017, figure 5)."
            ),
            units={"rms": "gradient of the summed loss per sample and weight", "share": "0 to 1"},
        )


@dataclass(frozen=True)
class Readers:
    """Duplication between the readers of one source: reading (b) of docs/findings.md, one row per source.

    ``dL/dW_j[:, slice s]`` against ``dL/dW_k[:, slice s]`` for each pair of layers j, k that read source s.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if no source has two readers."""
        if not recording.in_weight_space:
            return None
        by_source: dict[str, list[Slice]] = {}
        for part in recording.plan.slices:
            if recording.plan.probe_of(part).sampled:
                by_source.setdefault(part.source, []).append(part)
        rows = [
            row
            for source, parts in by_source.items()
            if len(parts) > 1
            for row in _reader_rows(recording, source, parts)
        ]
        if not rows:
            return None
        return Table(
            "readers",
            pd.DataFrame(rows),
            "Duplication between the weight gradients of the layers that read one source.",
            how=(
                "CKA, N_eff and D as for signals, of the parts of the readers' weights that read the source; mean "
                "over seeds. D grows with the number of readers; D_m over m = 2 readers drawn at random can be "
                "compared between sources. Used: readers whose gradient has a similarity in the version, the smallest "
                f"number over seeds. {HALF_WIDTHS} These are the gradients that eq. 2 of the CSPNet paper calls "
                "reused, as blocks of weight gradients."
            ),
            units={
                "duplication": "0 to 1",
                "m": "layers",
                "rarefied_duplication": "0 to 1",
                "mean_similarity": "dimensionless",
                "readers": "layers",
                "used": "layers",
            },
        )


def _reuse_row(recording: Recording, part: Slice, energies: dict[int, float]) -> dict[str, object]:
    probe, slices = recording.plan.probe_of(part), recording.plan.slices
    energy = recording.energies[part.probe]
    count = recording.n * probe.elements(recording.n)
    total = energies.get(part.layer, 0.0)
    return {
        "network": recording.name,
        "stage": probe.stage,
        "layer": probe.module,
        "source": part.source,
        "order_layer": _rank(probe.order, [recording.plan.probe_of(other).order for other in slices]),
        "order_source": _rank((part.order, part.source), [(other.order, other.source) for other in slices]),
        "first_input": part.start,
        "inputs": part.stop - part.start,
        "rms": float(np.sqrt(energy / count).mean()) if probe.sampled else np.nan,
        "share": float(energy.sum() / total) if total > 0 else np.nan,
    }


def _reader_rows(recording: Recording, source: str, parts: Sequence[Slice]) -> list[dict[str, object]]:
    """Return the rows of one source, one per version."""
    probes = tuple((part.probe,) for part in parts)

    def measure(replicate: Recording) -> dict[str, Array]:
        values = similarity_of(replicate, probes)
        used = [values.usable(version, np.arange(len(parts))) for version in VERSIONS]
        matrices = [values.between(version, indices) for version, indices in zip(VERSIONS, used, strict=True)]
        return {
            "used": np.array([len(indices) for indices in used]),
            "duplication": np.array([duplication(matrix) for matrix in matrices]),
            "rarefied_duplication": np.array([rarefied_duplication(matrix, PAIR) for matrix in matrices]),
            "mean_similarity": np.array([mean_similarity(matrix) for matrix in matrices]),
        }

    values = over_replicates(measure, recording)
    used = values.per_seed["used"].min(axis=0)
    return [
        {
            "network": recording.name,
            "stage": recording.plan.probe_of(parts[0]).stage,
            "source": source,
            "version": version.label,
            "readers": len(parts),
            "used": int(used[row]),
            "m": PAIR,
            **{name: float(values.means[name][row]) for name in MEASURES},
            **{f"{name}_reach": float(values.half_widths[name][row]) for name in MEASURES},
        }
        for row, version in enumerate(VERSIONS)
    ]


def _rank(order: Order, orders: Sequence[Order]) -> int:
    """Return the index of an order among the distinct orders, sorted."""
    return sorted(set(orders)).index(order)
