"""The share of each loss in the gradient, by signal, branch and stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.agreeing import LEVELS, energies_of, scopes_of, with_intervals
from gradlens.recording import Recording
from gradlens.results import Table

INTERVALS = "low and high: 95 % t interval over seeds, or over the batches (jackknife) of a single seed."
"""Sentence that explains the columns ``*_low`` and ``*_high``."""


@dataclass(frozen=True)
class Ledger:
    """Energy and share of each loss, one row per place and loss.

    Columns: ``network``; ``level`` (``signal``, ``branch``, ``stage``); ``where`` (name of the signal, site and label
    of the branch, stage; ``whole`` for the network); ``stage``; ``depth`` and ``order`` (of signals, else NaN);
    ``loss``; ``energy``; ``share`` and ``coherence``, each with ``_low`` and ``_high``; ``reason``.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if the recording holds one loss."""
        rows = list(_rows(recording)) if recording.losses else []
        if not rows:
            return None
        return Table(
            "losses",
            pd.DataFrame(rows),
            "Share of each loss in the energy of the gradient.",
            how=(
                f"One backward pass per loss and one for the sum, on the same forward pass. {LEVELS} "
                "Energy: mean over samples of the squared norm of the gradient of the summed loss; share: energy "
                "divided by the sum of the energies of the losses; coherence ‖Σ g‖² / Σ ‖g‖²: the number of losses if "
                f"their gradients are equal, 1 if they are orthogonal, near 0 if they cancel. {INTERVALS}"
            ),
            units={
                "depth": "weighted layers",
                "energy": "squared norm per sample",
                "share": "0 to 1",
                "coherence": "0 to the number of losses",
            },
        )


def _rows(recording: Recording) -> Iterator[dict[str, object]]:
    scopes = list(scopes_of(recording))
    for scope, values in zip(scopes, with_intervals(recording, scopes, energies_of), strict=True):
        coherence = [float(bound) for bound in values["coherence"]]
        for index, loss in enumerate(recording.losses):
            share = [float(np.clip(bound[index], 0.0, 1.0)) for bound in values["share"]]
            yield {
                **scope.columns(recording),
                "loss": loss,
                "energy": float(values["energy"][0][index]),
                **dict(zip(("share", "share_low", "share_high"), share, strict=True)),
                **dict(zip(("coherence", "coherence_low", "coherence_high"), coherence, strict=True)),
                "reason": "" if share[0] == share[0] else "no loss has a gradient here",
            }
