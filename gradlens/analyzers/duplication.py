"""How much of the gradient is duplicate, by stage and for the whole network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradlens.analyzers.replicates import REACH, over_replicates
from gradlens.analyzers.signals import WHOLE, members, stages_of
from gradlens.analyzers.similarity import VERSIONS, Similarity, signal_similarity
from gradlens.metrics import duplication, effective_number, mean_similarity
from gradlens.recording import Recording
from gradlens.results import Table

SPREAD = ("duplication", "mean_cka")
"""What has an interval."""


@dataclass(frozen=True)
class Duplication:
    """D, N_eff and mean CKA of the signals, a row a seed, stage and version.

    Attributes:
        versions: of similarity, from ``similarity.VERSIONS``.
    """

    versions: tuple[str, ...] = VERSIONS

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None where no signals were recorded."""
        if not recording.plan.signals:
            return None
        frame = self.values(recording)
        places = pd.MultiIndex.from_product([[*stages_of(recording), WHOLE], self.versions])
        at = frame.set_index(["stage", "version"]).index

        def measure(own: Recording) -> dict[str, np.ndarray]:
            found = self.values(own).set_index(["stage", "version"])
            return {name: found[name].reindex(places).to_numpy(float) for name in SPREAD}

        _, reach = over_replicates(measure, recording)
        for name in SPREAD:
            frame[f"{name}_reach"] = pd.Series(reach[name], index=places).reindex(at).to_numpy()
        return Table(
            "duplication",
            frame,
            "Duplication of the gradients that the weighted layers of a stage receive.",
            how=(
                "D = (L − N_eff)/(L − 1), N_eff = exp of the entropy of the eigenvalues of S/L, S the unbiased "
                "linear CKA between the L signals' per-sample Grams, numerator and denominators averaged over "
                "a seed's batches before dividing (Song 2012; Nguyen 2021). Direction: Grams of unit "
                "gradients. Given the loss: after partialling out the Gram of the gradient at the network's "
                "output. Signals that are exactly zero, or that the loss signal explains up to rounding, are "
                f"left out and counted. {REACH} It is the same on the rows of all seeds."
            ),
            units={
                "duplication": "dimensionless, 0 unrelated to 1 copies",
                "n_eff": "signals",
                "n_eff_share": "N_eff / L",
                "mean_cka": "dimensionless",
            },
        )

    def values(self, recording: Recording) -> pd.DataFrame:
        """A row a seed, stage and version, without intervals."""
        rows = []
        for seed in recording.seeds:
            found = signal_similarity(recording, seed)
            for stage in [*stages_of(recording), WHOLE]:
                rows += [self._row(recording, found, seed, stage, version) for version in self.versions]
        return pd.DataFrame(rows)

    def _row(
        self, recording: Recording, found: Similarity, seed: int, stage: str, version: str
    ) -> dict[str, Any]:
        own = members(recording, stage)
        used = found.usable(version, own)
        matrix = found.versions[version][used][:, used]
        effective = effective_number(matrix) if len(used) > 1 else float("nan")
        dead = int(found.dead[own].sum())
        return {
            "network": recording.name,
            "seed": seed,
            "stage": stage,
            "version": version,
            "signals": len(own),
            "used": len(used),
            "dead": dead,
            "n_eff": effective,
            "n_eff_share": effective / len(used) if len(used) > 1 else float("nan"),
            "duplication": duplication(matrix),
            "mean_cka": mean_similarity(matrix),
            "reason": _reason(len(own), len(used), dead),
        }


def _reason(signals: int, used: int, dead: int) -> str:
    if used > 1:
        return ""
    if signals == 1:
        return "one signal cannot duplicate itself"
    if dead and used + dead == signals:
        return f"{dead} of {signals} signals are exactly zero at this state"
    return f"{used} of {signals} signals vary over samples beyond what the loss explains"
