"""How the similarity of signals depends on how many are counted, and on their distance in depth."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.duplication import common_sizes
from gradlens.analyzers.replicates import HALF_WIDTHS, over_replicates
from gradlens.analyzers.signals import WHOLE, signals_of, stages_of
from gradlens.analyzers.similarity import Array, seed_similarities
from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS, Version
from gradlens.metrics import rarefied_number, similarity_by_lag
from gradlens.recording import Recording
from gradlens.results import Table

COUNTED = (ENERGY, ENERGY_GIVEN_LOSS)
"""Versions of the similarity in these tables."""
ERROR = 0.005
"""Largest standard error of a point of the curve, divided by m − 1."""
POINTS = 12
"""Number of points of a curve, about evenly spaced on a logarithmic axis."""


@dataclass(frozen=True)
class Rarefaction:
    """The effective number of distinct signals among ``m`` of the network, by version: one row per ``m``.

    Attributes:
        versions: of the similarity.
    """

    versions: Sequence[Version] = COUNTED

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if no signals were recorded."""
        sizes = common_sizes([recording], self.versions) if recording.signals else {}
        grids = {key: grid(size) for key, size in sizes.items() if key[0] == WHOLE}
        if not grids:
            return None

        def measure(replicate: Recording) -> dict[str, Array]:
            return {"n_eff": np.concatenate([_curve(replicate, *key, grids[key]) for key in grids])}

        values = over_replicates(measure, recording)
        frame = pd.DataFrame(
            [
                {"network": recording.name, "stage": stage, "version": label, "m": m}
                for (stage, label), sizes_of_curve in grids.items()
                for m in sizes_of_curve
            ]
        )
        frame["n_eff"], frame["n_eff_reach"] = values.means["n_eff"], values.half_widths["n_eff"]
        return Table(
            "rarefaction",
            frame,
            "Effective number of distinct signals among m signals drawn at random.",
            how=(
                "N_eff(m): the expected exp of the entropy of the eigenvalues of S/m over m signals drawn without "
                "replacement (rarefaction, Hurlbert 1971), from seeded draws with an error below 0.005 (m − 1). Copies "
                f"stay at 1, unrelated signals follow the diagonal. {HALF_WIDTHS}"
            ),
            units={"m": "signals", "n_eff": "distinct signals"},
        )


@dataclass(frozen=True)
class Lags:
    """Mean similarity of signals k layers apart, by stage and version: one row per k.

    Attributes:
        versions: of the similarity.
    """

    versions: Sequence[Version] = COUNTED

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if no stage has two signals."""
        stages = [*stages_of(recording), WHOLE] if recording.signals else []
        counts = {stage: len(signals_of(recording, stage)) for stage in stages}
        keys = [(stage, version) for stage in stages for version in self.versions if counts[stage] > 1]
        if not keys:
            return None

        def measure(replicate: Recording) -> dict[str, Array]:
            return {"similarity": np.concatenate([_lags(replicate, *key) for key in keys])}

        values = over_replicates(measure, recording)
        frame = pd.DataFrame(
            [
                {"network": recording.name, "stage": stage, "version": version.label, "lag": lag}
                for stage, version in keys
                for lag in range(1, counts[stage])
            ]
        )
        frame["similarity"], frame["similarity_reach"] = (
            values.means["similarity"],
            values.half_widths["similarity"],
        )
        return Table(
            "lags",
            frame.dropna(subset=["similarity"]).reset_index(drop=True),
            "Mean similarity of the signals of layers that are k apart in depth order.",
            how=(
                "Mean unbiased CKA of all pairs of usable signals whose positions in depth order differ by the lag. A "
                f"chain, in which only neighbours are alike, falls; equal similarity stays. {HALF_WIDTHS}"
            ),
            units={"lag": "layers", "similarity": "mean CKA"},
        )


def grid(most: int) -> list[int]:
    """Return the numbers of signals at which a curve is computed: 1, 2, about evenly spaced logarithms, ``most``.

    >>> grid(5)
    [1, 2, 3, 4, 5]
    """
    return sorted({1, min(2, most), *map(int, np.geomspace(1, most, POINTS).round()), most})


def _curve(recording: Recording, stage: str, label: str, sizes: Sequence[int]) -> Array:
    """Return N_eff at each size, ``[sizes]``, of one seed; NaN if too few signals are usable."""
    version = next(version for version in COUNTED if version.label == label)
    (similarity,) = seed_similarities(recording).values()
    matrix = similarity.between(version, similarity.usable(version, signals_of(recording, stage)))
    return np.array([rarefied_number(matrix, size, ERROR) for size in sizes])


def _lags(recording: Recording, stage: str, version: Version) -> Array:
    """Return the mean similarity by lag, ``[signals - 1]``, of one seed; NaN without a usable pair."""
    (similarity,) = seed_similarities(recording).values()
    matrix = similarity.between(version, signals_of(recording, stage))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a lag without a usable pair has no mean
        return similarity_by_lag(matrix)
