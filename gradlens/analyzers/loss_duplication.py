"""Which loss makes the signals alike."""

from __future__ import annotations

from dataclasses import dataclass

from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class DuplicationByLoss:
    """Duplication of each loss's own signals, and of the total's signals given that loss, by stage.

    Columns: ``network``, ``stage``, ``loss`` (``all`` for the sum), ``signals``, ``m``, ``rarefied_duplication``,
    ``mean_similarity`` (of the loss's own signals), ``m_given``, ``rarefied_duplication_given``,
    ``mean_similarity_given`` (of the total's signals given the loss), each value with ``_low`` and ``_high``;
    ``reason``.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if the recording holds one loss."""
        return None
