"""Signal against signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.replicates import REACH, over_replicates
from gradlens.analyzers.similarity import VERSIONS, signal_similarity
from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class Correlation:
    """CKA of every two signals, a row a pair, mean over seeds."""

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for fewer than two signals."""
        if len(recording.plan.signals) < 2:
            return None
        names, stages = (
            [signal.name for signal in recording.signals],
            [signal.stage for signal in recording.signals],
        )
        first, second = np.triu_indices(len(names), k=1)

        def measure(own: Recording) -> dict[str, np.ndarray]:
            versions = signal_similarity(own, own.seeds[0]).versions
            return {name.replace(" ", "_"): versions[name][first, second] for name in VERSIONS}

        columns, reaches = over_replicates(measure, recording)
        reach = {f"{version}_reach": values for version, values in reaches.items()}
        frame = pd.DataFrame(
            {
                "network": recording.name,
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
                f"over seeds; upper triangle. {REACH} Dead signals have no similarity and are empty."
            ),
            units=dict.fromkeys(columns, "CKA, about 0 unrelated to 1 equal"),
        )
