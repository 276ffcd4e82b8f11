"""The check that contributions add up, on which all other numbers depend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class Exactness:
    """Error of Σ contributions against the accumulated gradient, one row per fork or partial split."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for a network without forks and partial splits."""
        rows = []
        for index, group in enumerate(recording.plan.groups):
            if group.total is None:
                continue
            projected = recording.projected_errors.get(index, np.array([np.nan]))
            rows.append(
                {
                    "network": recording.name,
                    "stage": group.stage,
                    "site": group.site,
                    "kind": group.where,
                    "contributions": len(group.members),
                    "error": recording.dry_errors.get(index, np.nan),
                    "projected_error": float(np.max(projected)),
                    "dry_samples": recording.provenance.dry_samples,
                }
            )
        if not rows:
            return None
        return Table(
            "exactness",
            pd.DataFrame(rows),
            "Relative error of the sum of contributions against the gradient that autograd accumulated.",
            how=(
                "error: bit for bit in a dry pass over a few samples that holds all contributions (0 expected). "
                "projected_error: a seeded random projection of the sum, compared with the sum of the projections, "
                "relative to the norm, in the worst batch (float32 rounding expected, about 1e-6). A capture with a "
                "wrong sum raises an error."
            ),
            units={"error": "relative", "projected_error": "relative"},
        )
