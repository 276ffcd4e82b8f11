"""What only weight space shows: noise of the gradient, reuse of a source, duplication between its readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.replicates import REACH, mean_known, over_replicates
from gradlens.analyzers.signals import WHOLE, members, stages_of
from gradlens.analyzers.similarity import VERSIONS, similarity
from gradlens.graph.plan import Slice
from gradlens.metrics import (
    duplication,
    mean_interval,
    mean_similarity,
    noise,
    noise_scale,
    signal_to_noise,
)
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table


def in_weight_space(recording: Recording) -> bool:
    """The signals are gradients of weights."""
    return bool(recording.provenance.of_weights and recording.plan.signals)


@dataclass(frozen=True)
class NoiseScale:
    """Signal and noise of the weight gradients, a row a stage and one for the whole network.

    Attributes:
        level: coverage of the interval over seeds.
    """

    level: float = 0.95

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None outside weight space."""
        if not in_weight_space(recording):
            return None
        rows = [self._row(recording, stage) for stage in [*stages_of(recording), WHOLE]]
        return Table(
            "noise",
            pd.DataFrame(rows),
            "Signal and noise of the weight gradients of a stage.",
            how=(
                "From Grams of per-sample weight gradients, added over the stage's weights (no biases): tr Σ and "
                "|G|² unbiased, averaged over a seed's batches before dividing (McCandlish et al. 2018, arXiv "
                "1812.06162, appendix A.1). Empty where the mean gradient cannot be told from 0 with so few "
                "samples. In train mode BatchNorm couples the samples of a batch; then both are approximate."
            ),
            units={
                "noise_scale": "samples",
                "signal_to_noise": "|G|² / tr Σ of one sample",
                "variance": "tr Σ of a sample's gradient",
            },
        )

    def _row(self, recording: Recording, stage: str) -> dict[str, Any]:
        own = [recording.plan.signals[place] for place in members(recording, stage)]
        own = [number for number in own if recording.plan.probes[number].outer is not None]
        scales, ratios, variances = [], [], []
        for seed in recording.seeds:
            grams = recording.of_seed(seed).grams[own].sum(axis=0)
            terms = [noise(gram) for gram in grams]
            scales.append(noise_scale(terms))
            ratios.append(signal_to_noise(terms))
            variances.append(float(np.mean([term.variance for term in terms])))
        known = np.array(scales)[np.isfinite(scales)]
        mean, low, high = mean_interval(known, self.level)
        return {
            "network": recording.name,
            "stage": stage,
            "weights": len(own),
            "noise_scale": mean,
            "noise_scale_low": low,
            "noise_scale_high": high,
            "signal_to_noise": float(mean_known(np.array(ratios))),
            "variance": float(mean_known(np.array(variances))),
            "reason": "" if len(known) else "the mean gradient cannot be told from 0 with so few samples",
        }


@dataclass(frozen=True)
class Reuse:
    """The gradient version of DenseNet's reuse map, a row a layer and source that it reads.

    Huang et al. 2017, figure 5, shows the mean weight from source s to layer l; here it is the size of the
    gradient of these weights.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None where no layer reads several sources."""
        several = any(part.probe not in recording.plan.signals for part in recording.plan.slices)
        if not in_weight_space(recording) or not several:
            return None
        totals = {
            recording.plan.probes[number].node: recording.energies[number].sum()
            for number in recording.plan.signals
        }
        return Table(
            "reuse",
            pd.DataFrame([_reuse_row(recording, part, totals) for part in recording.plan.slices]),
            "Size of the gradient of each layer's weights, by the source whose channels they read.",
            how=(
                "rms: per sample and weight, of dL/dW_j[:, slice s]; share: of the energy of the whole weight's "
                "gradient. The gradient version of the reuse map of DenseNet (Huang et al. 2017, figure 5)."
            ),
            units={"rms": "gradient of the summed loss per sample and weight", "share": "0 to 1"},
        )


@dataclass(frozen=True)
class Readers:
    """Duplication between the readers of one source: reading (b) of docs/findings.md, a row a source.

    ``dL/dW_j[:, slice s]`` against ``dL/dW_k[:, slice s]`` for every two layers j, k that read source s.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None where no source has two readers."""
        if not in_weight_space(recording):
            return None
        by_source: dict[str, list[Slice]] = {}
        for part in recording.plan.slices:
            if recording.plan.probes[part.probe].outer is not None:
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
                f"over seeds. {REACH} The gradients that the paper's eq. 2 calls reused, "
                "as blocks of weight gradients."
            ),
            units={"duplication": "0 to 1", "mean_cka": "dimensionless", "readers": "layers"},
        )


def _reuse_row(recording: Recording, part: Slice, totals: dict[int, float]) -> dict[str, Any]:
    plan, probe = recording.plan, recording.plan.probes[part.probe]
    energy = recording.energies[part.probe]
    count = recording.n * probe.elements(recording.n)
    total = totals.get(part.layer, 0.0)
    return {
        "network": recording.name,
        "stage": probe.stage,
        "layer": probe.module,
        "source": part.source,
        "order_layer": _rank(probe.order, [plan.probes[own.probe].order for own in plan.slices]),
        "order_source": _rank((part.order, part.source), [(own.order, own.source) for own in plan.slices]),
        "first_input": part.start,
        "inputs": part.stop - part.start,
        "rms": float(np.sqrt(energy / count).mean()) if probe.outer is not None else np.nan,
        "share": float(energy.sum() / total) if total > 0 else np.nan,
    }


def _reader_rows(recording: Recording, source: str, parts: Sequence[Slice]) -> list[dict[str, Any]]:
    probes = [part.probe for part in parts]
    used = 0

    def measure(own: Recording) -> dict[str, Array]:
        nonlocal used
        alike = similarity(own.grams[probes], own.loss_gram)
        values = []
        for version in VERSIONS:
            usable = alike.usable(version, np.arange(len(parts)))
            matrix = alike.versions[version][usable][:, usable]
            values.append((duplication(matrix), mean_similarity(matrix)))
            used = len(usable) if version == "energy" else used
        return dict(zip(("duplication", "mean_cka"), np.array(values).T, strict=True))

    values, reach = over_replicates(measure, recording)
    return [
        {
            "network": recording.name,
            "stage": recording.plan.probes[parts[0].probe].stage,
            "source": source,
            "version": version,
            "readers": len(parts),
            "used": used,
            **{name: float(column[place]) for name, column in values.items()},
            **{f"{name}_reach": float(column[place]) for name, column in reach.items()},
        }
        for place, version in enumerate(VERSIONS)
    ]


def _rank(order: Any, orders: Sequence[Any]) -> int:
    """Place among the distinct orders."""
    return sorted(set(orders)).index(order)
