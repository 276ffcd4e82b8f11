"""Tables made on request: nulls and ceilings of duplication, canonical correlations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradlens.analyzers.products import transformed
from gradlens.analyzers.replicates import mean_known
from gradlens.analyzers.signals import WHOLE, signals_of, stages_of
from gradlens.analyzers.similarity import seed_similarities
from gradlens.catalogue.versions import VERSIONS, Version
from gradlens.metrics import (
    Canonical,
    Null,
    canonical,
    duplication,
    half_widths,
    permutation_null,
    split_half,
)
from gradlens.metrics.cca import VARIANCE
from gradlens.recording import Recording
from gradlens.results import Table

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Nulls:
    """Duplication of unrelated signals, and the similarity of two halves of one signal.

    Attributes:
        permutations: number of times that the samples of each signal are shuffled.
    """

    permutations: int = 99

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, one row per stage and version; None for fewer than two signals."""
        if len(recording.signals) < 2:
            return None
        ceilings = _ceilings(recording)
        rows = [
            self._row(recording, stage, version, ceilings.get(version))
            for stage in [*stages_of(recording), WHOLE]
            for version in VERSIONS
        ]
        return Table(
            "null",
            pd.DataFrame(rows),
            "Duplication next to its value for unrelated signals.",
            how=(
                "Null: D after the samples of each signal are shuffled independently, "
                f"{self.permutations} times, means over seeds; p: the largest over seeds. Ceiling: mean CKA of the two "
                "halves (every second feature) of one signal: the similarity that two measurements of one quantity "
                "reach on average at this number of samples; single pairs may exceed it. It needs halves=True at "
                "the capture. The halves share the loss, so there is no ceiling given the loss. Used: signals "
                "with a similarity, the smallest number over seeds."
            ),
            units={"duplication": "0 to 1", "null_high": "95 % quantile of the null", "ceiling": "CKA"},
        )

    def _row(
        self, recording: Recording, stage: str, version: Version, ceilings: Array | None
    ) -> dict[str, object]:
        similarities = seed_similarities(recording)
        indices = signals_of(recording, stage)
        used = {seed: values.usable(version, indices) for seed, values in similarities.items()}
        values = np.array(
            [duplication(similarities[seed].between(version, subset)) for seed, subset in used.items()]
        )
        nulls = [self._null(recording, seed, subset, version) for seed, subset in used.items()]
        fewest, live = min(map(len, used.values())), np.unique(np.concatenate(list(used.values())))
        return {
            "network": recording.name,
            "stage": stage,
            "version": version.label,
            "used": fewest,
            "duplication": float(np.mean(values)),
            "duplication_reach": float(half_widths(values)),
            "null_mean": float(np.mean([null.mean for null in nulls])),
            "null_high": float(np.mean([null.high for null in nulls])),
            "p": float(np.max([null.p for null in nulls])),
            "ceiling": float(np.nanmean(ceilings[live])) if ceilings is not None and len(live) else np.nan,
            "reason": _null_reason(fewest, recording.no_loss if version.given_loss else ""),
        }

    def _null(self, recording: Recording, seed: int, indices: NDArray[np.intp], version: Version) -> Null:
        """Return the null of some signals in one seed."""
        replicates = recording.of_seed(seed)
        numbers = [recording.signals[index].number for index in indices]
        loss = replicates.loss_gram if version.given_loss else None
        return permutation_null(
            transformed(replicates.grams[numbers], version),
            self.permutations,
            seed,
            loss=None if loss is None else transformed(loss, version),
        )


def _ceilings(recording: Recording) -> dict[Version, Array]:
    """Return the CKA of the halves of each signal, ``[l]``; none given the loss, which the halves share."""
    if recording.halves is None:
        return {}
    ceilings = {}
    for version in VERSIONS:
        if not version.given_loss:
            per_seed = []
            for half, rest in _halves(recording):
                both = transformed(half, version) + transformed(rest, version)
                per_seed.append(split_half(transformed(half, version), both))
            ceilings[version] = mean_known(np.stack(per_seed))
    return ceilings


def _halves(recording: Recording) -> Iterator[tuple[Array, Array]]:
    """Yield the Grams of both halves of the signals of each seed."""
    for replicates in map(recording.of_seed, recording.seeds):
        if replicates.halves is not None:
            yield replicates.halves, replicates.signal_grams - replicates.halves


@dataclass(frozen=True)
class Canonicals:
    """SVCCA and PWCCA of each pair of signals, one row per pair, mean over replicates.

    Attributes:
        variance: share of the variance of each signal that is kept.
    """

    variance: float = VARIANCE

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for fewer than two signals."""
        if len(recording.signals) < 2:
            return None
        rows = [
            {
                "network": recording.name,
                "stage_a": a.stage,
                "stage_b": b.stage,
                "signal_a": a.name,
                "signal_b": b.name,
                **self._pair(recording, a.number, b.number),
            }
            for a, b in combinations(recording.signals, 2)
        ]
        return Table(
            "canonical",
            pd.DataFrame(rows),
            "Canonical correlations of the gradients of each pair of weighted layers.",
            how=(
                f"SVCCA (Raghu et al. 2017) and PWCCA (Morcos et al. 2018, with squared projections) over the "
                f"directions that hold {self.variance:.0%} of the variance, from Grams, mean over a seed's batches, "
                "then over seeds; reach: half-width of the 95 % t interval over seeds, or over the batches of a "
                "single seed. PWCCA weights by the variance of signal_a; directions: the largest number over batches. "
                "Empty if in some batch both signals need more directions than it has samples: canonical "
                "correlations are then large for any gradients; raise batch_size=. By chance alone k and l "
                "directions of n samples correlate by about sqrt(max(k, l) / n)."
            ),
            units={
                "svcca": "0 to 1",
                "pwcca": "0 to 1",
                "directions_a": "of n samples",
                "directions_b": "of n samples",
            },
        )

    def _pair(self, recording: Recording, a: int, b: int) -> dict[str, object]:
        """Return means over batches, then over seeds; the interval is over seeds, or over a single seed's batches."""
        by_seed = [self._of_seed(recording.of_seed(seed), a, b) for seed in recording.seeds]
        batches = [batch for seed in by_seed for batch in seed]
        directions = [max((batch.directions[side] for batch in batches), default=0) for side in (0, 1)]
        complete = bool(batches) and all(np.isfinite(batch.svcca) for batch in batches)
        row = dict.fromkeys(("svcca", "pwcca", "svcca_reach", "pwcca_reach"), np.nan)
        for name in ("svcca", "pwcca") if complete else ():
            values = [[getattr(batch, name) for batch in seed] for seed in by_seed if seed]
            means = np.array([np.mean(of_seed) for of_seed in values])
            spread = means if len(recording.seeds) > 1 else np.array(values[0])
            row[name], row[f"{name}_reach"] = float(means.mean()), float(half_widths(spread))
        return {
            **row,
            "directions_a": directions[0],
            "directions_b": directions[1],
            "reason": "" if complete else _reason(batches, recording.n),
        }

    def _of_seed(self, recording: Recording, a: int, b: int) -> list[Canonical]:
        """Return the canonical correlations of each batch of one seed."""
        return [
            canonical(x, y, self.variance)
            for x, y in zip(recording.grams[a], recording.grams[b], strict=True)
            if np.isfinite(x).all() and np.isfinite(y).all()
        ]


def _null_reason(used: int, no_loss: str) -> str:
    """Return why some signals have no duplication; empty if they have one."""
    return "" if used > 1 else no_loss or "fewer than two live signals"


def _reason(batches: list[Canonical], n: int) -> str:
    """Return why two signals have no canonical correlation in some batches; a mean over the others would be biased."""
    first, second = max((batch.directions for batch in batches), key=sum, default=(0, 0))
    if any(0 in batch.directions for batch in batches) or not batches:
        return "a signal does not vary over samples"
    return f"{first} and {second} directions need more than the {n} samples of a batch"
