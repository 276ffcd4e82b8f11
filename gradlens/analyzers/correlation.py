"""Similarity of each pair of signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.remembering import cached_by_recording
from gradlens.analyzers.replicates import HALF_WIDTHS, Replicated, over_replicates
from gradlens.analyzers.similarity import signal_similarity
from gradlens.catalogue.versions import VERSIONS
from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class Correlation:
    """CKA of each pair of signals, one row per pair, mean over seeds."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for fewer than two signals."""
        if len(recording.signals) < 2:
            return None
        values = _similarities(recording)
        first, second = np.triu_indices(len(recording.signals), k=1)
        names = np.array([signal.name for signal in recording.signals], dtype=object)
        stages = np.array([signal.stage for signal in recording.signals], dtype=object)
        frame = pd.DataFrame(
            {
                "network": recording.name,
                "stage_a": stages[first],
                "stage_b": stages[second],
                "signal_a": names[first],
                "signal_b": names[second],
                "order_a": first,
                "order_b": second,
                **values.means,
                **{f"{column}_reach": widths for column, widths in values.half_widths.items()},
            }
        )
        return Table(
            "correlation",
            frame,
            "Similarity of the gradients of each pair of weighted layers.",
            how=(
                "Unbiased linear CKA of per-sample Grams, averaged over a seed's batches before dividing, then "
                f"over seeds; upper triangle. {HALF_WIDTHS} Dead signals have no similarity and are empty."
            ),
            units={version.column: "CKA, about 0 unrelated to 1 equal" for version in VERSIONS},
        )


@cached_by_recording
def _similarities(recording: Recording) -> Replicated:
    """Return the CKA of each pair of signals by column, over replicates."""
    upper = np.triu_indices(len(recording.signals), k=1)

    def measure(replicate: Recording) -> dict[str, np.ndarray]:
        columns = signal_similarity(replicate).columns()
        return {column: matrix[upper] for column, matrix in columns.items()}

    return over_replicates(measure, recording)
