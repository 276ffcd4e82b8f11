"""How much of the gradient is duplicate, by stage and for the whole network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from gradlens.analyzers.replicates import HALF_WIDTHS, over_replicates
from gradlens.analyzers.signals import WHOLE, signals_of, stages_of
from gradlens.analyzers.similarity import Similarity, seed_similarities
from gradlens.catalogue.versions import VERSIONS, Version
from gradlens.metrics import duplication, effective_number, mean_similarity
from gradlens.recording import Recording
from gradlens.results import Table

WITH_INTERVAL = ("duplication", "mean_cka")
"""Columns with an interval."""
HOW = (
    "D = (L − N_eff)/(L − 1), N_eff = exp of the entropy of the eigenvalues of S/L, where S is the unbiased linear "
    "CKA between the L signals' per-sample Grams, with numerator and denominators averaged over a seed's batches "
    "before dividing (Song 2012; Nguyen 2021). Direction: Grams of unit gradients. Given the loss: after "
    "partialling out the Gram of the gradient at all outputs that the loss reads. Signals that are exactly zero, or "
    f"that the loss signal explains up to rounding, are left out and counted. {HALF_WIDTHS} They are equal in the "
    "rows of all seeds."
)


@dataclass(frozen=True)
class Duplication:
    """D, N_eff and mean CKA of the signals, one row per seed, stage and version.

    Attributes:
        versions: of the similarity.
    """

    versions: Sequence[Version] = VERSIONS

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if no signals were recorded."""
        if not recording.signals:
            return None
        frame = self.values(recording)
        keys = pd.MultiIndex.from_product(
            [[*stages_of(recording), WHOLE], [version.label for version in self.versions]]
        )
        rows = frame.set_index(["stage", "version"]).index

        def measure(replicate: Recording) -> dict[str, np.ndarray]:
            values = self.values(replicate).set_index(["stage", "version"])
            return {name: values[name].reindex(keys).to_numpy(float) for name in WITH_INTERVAL}

        for name, widths in over_replicates(measure, recording).half_widths.items():
            frame[f"{name}_reach"] = pd.Series(widths, index=keys).reindex(rows).to_numpy()
        return Table(
            "duplication",
            frame,
            "Duplication of the gradients that the weighted layers of a stage receive.",
            how=HOW,
            units={
                "duplication": "dimensionless, 0 unrelated to 1 copies",
                "n_eff": "signals",
                "n_eff_share": "N_eff / L",
                "mean_cka": "dimensionless",
            },
        )

    def values(self, recording: Recording) -> pd.DataFrame:
        """Return the table's frame without intervals."""
        stages = [*stages_of(recording), WHOLE]
        return pd.DataFrame(
            [
                {"network": recording.name, "seed": seed, **_row(recording, similarity, stage, version)}
                for seed, similarity in seed_similarities(recording).items()
                for stage, version in product(stages, self.versions)
            ]
        )


def _row(recording: Recording, similarity: Similarity, stage: str, version: Version) -> dict[str, object]:
    indices = signals_of(recording, stage)
    used = similarity.usable(version, indices)
    matrix = similarity.between(version, used)
    effective = effective_number(matrix) if len(used) > 1 else float("nan")
    dead = int(similarity.dead[indices].sum())
    return {
        "stage": stage,
        "version": version.label,
        "signals": len(indices),
        "used": len(used),
        "dead": dead,
        "n_eff": effective,
        "n_eff_share": effective / len(used) if len(used) > 1 else float("nan"),
        "duplication": duplication(matrix),
        "mean_cka": mean_similarity(matrix),
        "reason": recording.no_loss
        if version.given_loss and recording.no_loss
        else _reason(len(indices), len(used), dead),
    }


def _reason(signals: int, used: int, dead: int) -> str:
    """Return why there is no duplication; empty if there is one."""
    if used > 1:
        return ""
    if signals == 1:
        return "one signal cannot duplicate itself"
    if dead and used + dead == signals:
        return f"{dead} of {signals} signals are exactly zero at this state"
    return f"{used} of {signals} signals vary over samples beyond what the loss explains"
