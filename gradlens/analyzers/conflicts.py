"""How the gradients of two losses agree, by signal, branch and stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.agreeing import LEVELS, Scope, cosines_of, scopes_of, with_intervals
from gradlens.analyzers.losses import INTERVALS
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

COSINES = {"cosine": -1.0, "cosine_of_mean": -1.0, "conflict": 0.0}
"""Columns with an interval, and the smallest value of each."""


@dataclass(frozen=True)
class Conflicts:
    """Cosine between the gradients of two losses, one row per place and pair.

    Columns: ``network``, ``level``, ``where``, ``stage``, ``depth``, ``order`` as in the table ``losses``; ``loss_a``,
    ``loss_b``; ``cosine``, ``cosine_of_mean``, ``conflict``, each with ``_low`` and ``_high``; ``reason``.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if the recording holds one loss."""
        rows = list(_rows(recording)) if recording.losses else []
        if not rows:
            return None
        return Table(
            "conflicts",
            pd.DataFrame(rows),
            "Cosine between the gradients of two losses.",
            how=(
                "cosine: between the gradients of the two losses for one sample, mean over the samples that have both; "
                "conflict: share of these samples whose cosine is below 0; cosine_of_mean: between the gradients "
                "summed over a batch, mean over batches. Inner products by polarisation, from the squared norms of a "
                f"weighted sum of the two. {LEVELS} {INTERVALS}"
            ),
            units={
                "depth": "weighted layers",
                "cosine": "mean over samples, -1 to 1",
                "cosine_of_mean": "-1 to 1",
                "conflict": "share of samples",
            },
        )


def _rows(recording: Recording) -> Iterator[dict[str, object]]:
    assert recording.by_loss is not None
    pairs, scopes = recording.by_loss.pairs, list(scopes_of(recording))
    for scope, values in zip(scopes, with_intervals(recording, scopes, cosines_of), strict=True):
        for pair, (a, b) in enumerate(pairs):
            bounds = {
                f"{name}{end}": float(np.clip(bound[pair], least, 1.0))
                for name, least in COSINES.items()
                for end, bound in zip(("", "_low", "_high"), values[name], strict=True)
            }
            reason = _reason(recording, scope, values, pair, (a, b))
            yield {**scope.columns(recording), "loss_a": a, "loss_b": b, **bounds, "reason": reason}


def _reason(
    recording: Recording,
    scope: Scope,
    values: Mapping[str, tuple[Array, Array, Array]],
    pair: int,
    losses: tuple[str, str],
) -> str:
    """Return why a pair has no cosine, or not that of all samples; empty if it has."""
    numbers = [number for members in scope.members for number in members]
    dead = [name for name in losses if not np.nansum(recording.of_loss(name).energies[numbers])]
    if dead:
        return f"{' and '.join(dead)}: no gradient here"
    lost = float(values["lost"][0][pair])
    if np.isnan(lost):
        return "no sample has a gradient of both losses"
    if lost > 0:
        return f"rounding hides the cosine of {lost:.0%} of the samples: one loss is much smaller there"
    return (
        ""
        if np.isfinite(values["cosine_of_mean"][0][pair])
        else "the gradients of the samples cancel in their sum"
    )
