"""How much of the gradient is duplicate, by stage and for the whole network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd

from gradlens.analyzers.remembering import cached_by_recording
from gradlens.analyzers.replicates import HALF_WIDTHS, over_replicates
from gradlens.analyzers.signals import WHOLE, signals_of, stages_of
from gradlens.analyzers.similarity import seed_similarities
from gradlens.catalogue.versions import ENERGY, VERSIONS, Version
from gradlens.metrics import effective_number, mean_similarity, rarefied_duplication
from gradlens.recording import Recording
from gradlens.results import Table

Sizes = Mapping[tuple[str, str], int]
"""Number of signals ``m`` for which a rarefied duplication is reported, by (stage, version's label)."""
RAW = ("duplication", "duplication_reach")
"""Columns that depend on the number of signals, so they are left out if several networks stand side by side."""
WITH_INTERVAL = ("duplication", "rarefied_duplication", "mean_similarity")
"""Columns with an interval."""
HOW = (
    "D_m = (m − E N_eff(m))/(m − 1) over m signals drawn without replacement (rarefaction, Hurlbert 1971); m is the "
    "least number of usable signals of the stage over the seeds and the networks side by side. D = D_L is that of all "
    "L signals and grows with L, so compare D_m or the mean similarity, not D. "
    "N_eff = exp of the entropy of the eigenvalues of S/L, where S is the unbiased linear "
    "CKA between the L signals' per-sample Grams, with numerator and denominators averaged over a seed's batches "
    "before dividing (Song 2012; Nguyen 2021). Direction: Grams of unit gradients. Given the loss: after "
    "partialling out the Gram of the gradient at all outputs that the loss reads. Signals that are exactly zero, or "
    f"that the loss signal explains up to rounding, are left out and counted. {HALF_WIDTHS} They are equal in the "
    "rows of all seeds."
)


@dataclass(frozen=True)
class Duplication:
    """D_m, mean similarity, N_eff and D of the signals, one row per seed, stage and version.

    Attributes:
        versions: of the similarity.
        sizes: ``m`` for several networks side by side, from ``common_sizes``; None takes those of the recording.
    """

    versions: Sequence[Version] = VERSIONS
    sizes: Sizes | None = None

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if no signals were recorded."""
        if not recording.signals:
            return None
        frame = self.values(recording)
        keys = pd.MultiIndex.from_product(
            [[*stages_of(recording), WHOLE], [version.label for version in self.versions]]
        )
        rows = frame.set_index(["stage", "version"]).index

        sized = Duplication(self.versions, self._sizes(recording))

        def measure(replicate: Recording) -> dict[str, np.ndarray]:
            values = sized.values(replicate).set_index(["stage", "version"])
            return {name: values[name].reindex(keys).to_numpy(float) for name in WITH_INTERVAL}

        for name, widths in over_replicates(measure, recording).half_widths.items():
            frame[f"{name}_reach"] = pd.Series(widths, index=keys).reindex(rows).to_numpy()
        if self.sizes is not None:
            frame = frame.drop(columns=[*RAW])
        return Table(
            "duplication",
            frame,
            "Duplication of the gradients that the weighted layers of a stage receive.",
            how=HOW,
            units={
                "rarefied_duplication": "D_m, 0 unrelated to 1 copies",
                "m": "signals",
                "mean_similarity": "mean CKA of two signals",
                "duplication": "D of all signals, 0 unrelated to 1 copies",
                "n_eff": "signals",
                "n_eff_share": "N_eff / L",
            },
        )

    def values(self, recording: Recording) -> pd.DataFrame:
        """Return the table's frame without intervals."""
        stages, sizes = [*stages_of(recording), WHOLE], self._sizes(recording)
        return pd.DataFrame(
            [
                {
                    "network": recording.name,
                    "seed": seed,
                    **_row(recording.of_seed(seed), stage, version, sizes.get((stage, version.label), 0)),
                }
                for seed in recording.seeds
                for stage, version in product(stages, self.versions)
            ]
        )

    def _sizes(self, recording: Recording) -> Sizes:
        return common_sizes([recording], self.versions) if self.sizes is None else self.sizes


def common_sizes(recordings: Sequence[Recording], versions: Sequence[Version] = VERSIONS) -> Sizes:
    """Return the number of signals ``m`` at which duplication is compared, by stage and version.

    It is the least number of usable signals of the stage over all networks that have the stage, and their seeds; in a
    version given the loss at most as many as without. Networks and seeds with fewer than two usable signals in a
    stage have no duplication there, so they do not count.

    Args:
        recordings: of networks side by side.
        versions: of the similarity.
    """
    least: dict[tuple[str, str], int] = {}
    for recording in (recording for recording in recordings if recording.signals):
        for similarity in seed_similarities(recording).values():
            for stage, version in product([*stages_of(recording), WHOLE], versions):
                used = len(similarity.usable(version, signals_of(recording, stage)))
                key = stage, version.label
                if used > 1:
                    least[key] = min(used, least.get(key, used))
    return {
        (stage, label): min(used, least.get((stage, ENERGY.label), used))
        for (stage, label), used in least.items()
    }


def _row(recording: Recording, stage: str, version: Version, size: int) -> dict[str, object]:
    """Return the row of one stage and version, from a recording of one seed."""
    numbers = _numbers(recording, stage, version, size)
    signals, used, dead = numbers.signals, numbers.used, numbers.dead
    return {
        "stage": stage,
        "version": version.label,
        "signals": signals,
        "used": used,
        "dead": dead,
        "n_eff": numbers.n_eff,
        "n_eff_share": numbers.n_eff / used if used > 1 else float("nan"),
        "duplication": numbers.duplication,
        "m": size or float("nan"),
        "rarefied_duplication": numbers.rarefied_duplication,
        "mean_similarity": numbers.mean_similarity,
        "reason": recording.no_loss
        if version.given_loss and recording.no_loss
        else _reason(signals, used, dead),
    }


class _Numbers(NamedTuple):
    """The numbers of a row."""

    signals: int
    used: int
    dead: int
    n_eff: float
    duplication: float
    rarefied_duplication: float
    mean_similarity: float


def _numbers(recording: Recording, stage: str, version: Version, size: int) -> _Numbers:
    """Return the numbers of a row; several tables need those of the same replicates, so they are computed once."""
    whole, replicates = recording.origin
    known, key = _known(whole), (tuple(replicates), stage, version, size)
    if key not in known:
        (similarity,) = seed_similarities(recording).values()
        indices = signals_of(recording, stage)
        used = similarity.usable(version, indices)
        matrix = similarity.between(version, used)
        many = len(used) > 1
        n_eff = effective_number(matrix) if many else float("nan")
        of_all = (len(used) - n_eff) / (len(used) - 1) if many else float("nan")
        rarefied = rarefied_duplication(matrix, size) if size not in (0, 1, len(used)) else of_all
        known[key] = _Numbers(
            signals=len(indices),
            used=len(used),
            dead=int(similarity.dead[indices].sum()),
            n_eff=n_eff,
            duplication=of_all,
            rarefied_duplication=rarefied if size > 1 else float("nan"),
            mean_similarity=mean_similarity(matrix),
        )
    return known[key]


@cached_by_recording
def _known(_: Recording) -> dict[tuple[tuple[int, ...], str, Version, int], _Numbers]:
    """Return the numbers that were computed for some replicates of a recording."""
    return {}


def _reason(signals: int, used: int, dead: int) -> str:
    """Return why there is no duplication; empty if there is one."""
    if used > 1:
        return ""
    if signals == 1:
        return "one signal cannot duplicate itself"
    if dead and used + dead == signals:
        return f"{dead} of {signals} signals are exactly zero at this state"
    return f"{used} of {signals} signals vary over samples beyond what the loss explains"
