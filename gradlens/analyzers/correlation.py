"""Signal against signal."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.signals import network, signal_names, signal_stages
from gradlens.analyzers.similarity import VERSIONS, signal_similarity
from gradlens.grams import Recording
from gradlens.metrics import half_widths
from gradlens.results import Table


@dataclass(frozen=True)
class Correlation:
    """CKA of every two signals (METRICS 5), a row a pair, mean over seeds."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for fewer than two signals."""
        if len(recording.plan.signals) < 2:
            return None
        names, stages = signal_names(recording), signal_stages(recording)
        first, second = np.triu_indices(len(names), k=1)
        found = [signal_similarity(recording, seed).versions for seed in recording.seeds]
        stacked = {
            version.replace(" ", "_"): np.stack([versions[version][first, second] for versions in found])
            for version in VERSIONS
        }
        columns = {version: mean_known(values) for version, values in stacked.items()}
        reach = {f"{version}_reach": half_widths(values) for version, values in stacked.items()}
        frame = pd.DataFrame(
            {
                "network": network(recording),
                "stage_a": np.array(stages, dtype=object)[first],
                "stage_b": np.array(stages, dtype=object)[second],
                "signal_a": np.array(names, dtype=object)[first],
                "signal_b": np.array(names, dtype=object)[second],
                "order_a": first,
                "order_b": second,
                **columns,
                **reach,
            }
        )
        return Table(
            "correlation",
            frame,
            "Similarity of the gradients that every two weighted layers receive.",
            how=(
                "Unbiased linear CKA of per-sample Grams, averaged over a seed's batches before dividing, then "
                "over seeds; upper triangle. reach: half the 95 % t interval over seeds. Dead signals have no "
                "similarity and are empty."
            ),
            units=dict.fromkeys(columns, "CKA, about 0 unrelated to 1 equal"),
        )


def mean_known(values: np.ndarray) -> np.ndarray:
    """Mean over axis 0 without NaN; NaN where all are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # mean of an empty slice is the NaN we want
        return np.asarray(np.nanmean(values, axis=0))
