"""The share of each loss in the gradient, by signal, branch and stage."""

from __future__ import annotations

from dataclasses import dataclass

from gradlens.recording import Recording
from gradlens.results import Table

INTERVAL = ("_low", "_high")
"""Endings of the columns with the bounds of an interval."""


@dataclass(frozen=True)
class Ledger:
    """Energy and share of each loss, one row per place and loss.

    Columns: ``network``; ``level`` (``signal``, ``branch``, ``stage``); ``where`` (name of the signal, site and label
    of the branch, stage; ``whole`` for the network); ``stage``; ``depth`` and ``order`` (of signals, else NaN);
    ``loss``; ``energy``; ``share`` and ``coherence``, each with ``_low`` and ``_high``; ``reason``.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if the recording holds one loss."""
        return None
