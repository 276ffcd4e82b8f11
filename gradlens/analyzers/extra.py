"""What is worked out on request only: nulls and ceilings of duplication, canonical correlations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradlens.analyzers.replicates import mean_known
from gradlens.analyzers.signals import WHOLE, members, stages_of
from gradlens.analyzers.similarity import VERSIONS, Similarity, signal_similarity
from gradlens.metrics import (
    Canonical,
    canonical,
    direction,
    duplication,
    half_widths,
    permutation_null,
    split_half,
)
from gradlens.metrics.cca import VARIANCE
from gradlens.recording import Recording
from gradlens.results import Table

Array = NDArray[np.float64]
FORMS: dict[str, Callable[[Array], Array]] = {"energy": lambda grams: grams, "direction": direction}


@dataclass(frozen=True)
class Nulls:
    """What duplication is where nothing is shared, and how alike two halves of one signal are.

    Attributes:
        permutations: of the samples of each signal.
    """

    permutations: int = 99

    def __call__(self, recording: Recording) -> Table | None:
        """The table, a row a stage and version; None for fewer than two signals."""
        if len(recording.plan.signals) < 2:
            return None
        ceilings = self._ceilings(recording)
        found = {seed: signal_similarity(recording, seed) for seed in recording.seeds}
        rows = [
            self._row(recording, stage, version, ceilings, found)
            for stage in [*stages_of(recording), WHOLE]
            for version in VERSIONS
        ]
        return Table(
            "null",
            pd.DataFrame(rows),
            "Duplication beside what it would be if no two signals shared anything.",
            how=(
                f"Null: D after the samples of each signal are shuffled by themselves, {self.permutations} times, "
                "means over seeds; p: that of the worst seed. Ceiling: mean CKA of the two halves (every second "
                "feature) of one signal, how alike two measurements of one thing look at this number of samples, on "
                "average: single pairs may look more alike. It needs halves=True at the capture, and is not given "
                "the loss, which both halves share."
            ),
            units={"duplication": "0 to 1", "null_high": "95 % quantile of the null", "ceiling": "CKA"},
        )

    def _ceilings(self, recording: Recording) -> dict[str, Array]:
        """By version, the CKA of the halves of each signal; none is given the loss, which halves share."""
        if recording.halves is None:
            return {}
        numbers = list(recording.plan.signals)
        found = {}
        for version, form in FORMS.items():
            each = []
            for seed in recording.seeds:
                own = recording.of_seed(seed)
                if own.halves is not None:
                    half, rest = own.halves, own.grams[numbers] - own.halves
                    each.append(split_half(form(half), form(half) + form(rest)))
            found[version] = mean_known(np.stack(each))
        return found

    def _row(
        self,
        recording: Recording,
        stage: str,
        version: str,
        ceilings: dict[str, Array],
        found: dict[int, Similarity],
    ) -> dict[str, Any]:
        own = members(recording, stage)
        values, nulls, used = [], [], own
        for seed, alike in found.items():
            used = alike.usable(version, own)
            matrix = alike.versions[version][used][:, used]
            values.append(duplication(matrix))
            numbers = [recording.plan.signals[place] for place in used]
            one = recording.of_seed(seed)
            form, loss = FORMS[version.removesuffix(" given loss")], one.loss_gram
            conditioned = form(loss) if version.endswith("given loss") and loss is not None else None
            nulls.append(
                permutation_null(form(one.grams[numbers]), self.permutations, seed, loss=conditioned)
            )
        known = ceilings.get(version)
        return {
            "network": recording.name,
            "stage": stage,
            "version": version,
            "used": len(used),
            "duplication": float(np.mean(values)),
            "duplication_reach": float(half_widths(np.array(values))),
            "null_mean": float(np.mean([null.mean for null in nulls])),
            "null_high": float(np.mean([null.high for null in nulls])),
            "p": float(np.max([null.p for null in nulls])),
            "ceiling": float(np.nanmean(known[used])) if known is not None and len(used) else np.nan,
            "reason": "" if len(used) > 1 else "fewer than two live signals",
        }


@dataclass(frozen=True)
class Canonicals:
    """SVCCA and PWCCA of every two signals, a row a pair, mean over replicates.

    Attributes:
        variance: share of the variance that is kept of each signal.
    """

    variance: float = VARIANCE

    def __call__(self, recording: Recording) -> Table | None:
        """The table, or None for fewer than two signals."""
        numbers = list(recording.plan.signals)
        if len(numbers) < 2:
            return None
        names, stages = (
            [signal.name for signal in recording.signals],
            [signal.stage for signal in recording.signals],
        )
        rows = [
            {
                "network": recording.name,
                "stage_a": stages[a],
                "stage_b": stages[b],
                "signal_a": names[a],
                "signal_b": names[b],
                **self._pair(recording, numbers[a], numbers[b]),
            }
            for a, b in combinations(range(len(numbers)), 2)
        ]
        return Table(
            "canonical",
            pd.DataFrame(rows),
            "Canonical correlations of the gradients that every two weighted layers receive.",
            how=(
                f"SVCCA (Raghu et al. 2017) and PWCCA (Morcos et al. 2018, with squared projections) over the "
                f"directions that hold {self.variance:.0%} of the variance, from Grams, mean over a seed's batches, "
                "then over seeds; reach: half the 95 % t interval over seeds, or over the batches of one. Empty "
                "where both signals need more directions than a batch has samples: then canonical correlations "
                "are large whatever the gradients; raise --batch-size. By chance alone k and l directions among "
                "n samples correlate by about sqrt(max(k, l) / n)."
            ),
            units={
                "svcca": "0 to 1",
                "pwcca": "0 to 1",
                "directions_a": "of n samples",
                "directions_b": "of n samples",
            },
        )

    def _pair(self, recording: Recording, a: int, b: int) -> dict[str, Any]:
        """Means over batches, then over seeds; the interval is over seeds, or over the batches of one."""
        found = [self._of_seed(recording.of_seed(seed), a, b) for seed in recording.seeds]
        every = [one for seed in found for one in seed]
        directions = [max((one.directions[side] for one in every), default=0) for side in (0, 1)]
        row: dict[str, Any] = {}
        for name in ("svcca", "pwcca"):
            values = [[getattr(one, name) for one in seed if np.isfinite(one.svcca)] for seed in found]
            means = np.array([np.mean(own) for own in values if own])
            spread = means if len(recording.seeds) > 1 else np.array(values[0] if values else [])
            row[name] = float(means.mean()) if len(means) else np.nan
            row[f"{name}_reach"] = float(half_widths(spread)) if len(spread) else np.nan
        return {
            "svcca": row["svcca"],
            "pwcca": row["pwcca"],
            "svcca_reach": row["svcca_reach"],
            "pwcca_reach": row["pwcca_reach"],
            "directions_a": directions[0],
            "directions_b": directions[1],
            "reason": "" if np.isfinite(row["svcca"]) else _reason(directions, recording.n),
        }

    def _of_seed(self, recording: Recording, a: int, b: int) -> list[Canonical]:
        return [
            canonical(x, y, self.variance)
            for x, y in zip(recording.grams[a], recording.grams[b], strict=True)
            if np.isfinite(x).all() and np.isfinite(y).all()
        ]


def _reason(directions: list[int], n: int) -> str:
    if 0 in directions:
        return "a signal does not vary over samples"
    return f"{directions[0]} and {directions[1]} directions need more than the {n} samples of a batch"
