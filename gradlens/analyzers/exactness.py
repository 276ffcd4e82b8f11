"""The check that contributions add up, on which all other numbers depend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.graph.stage_order import LOSS
from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class Exactness:
    """Error of Σ contributions against the accumulated gradient, one row per fork or partial split."""

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None for a network without forks and partial splits."""
        plan = recording.plan
        summed = [index for index, group in enumerate(plan.groups) if group.total is not None]
        rows = [_row(recording, [index]) for index in summed if index in plan.network_groups]
        in_loss = [index for index in summed if index not in plan.network_groups]
        if in_loss:
            rows.append(_row(recording, in_loss))
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
                "wrong sum raises an error. Forks inside the loss share one row, with their largest errors."
            ),
            units={"error": "relative", "projected_error": "relative"},
        )


def _row(recording: Recording, indices: Sequence[int]) -> dict[str, object]:
    """Return the row of a group, or of several inside the loss: the largest errors, and all contributions."""
    groups = [recording.plan.groups[index] for index in indices]
    projected = [recording.projected_errors.get(index, np.array([np.nan])) for index in indices]
    several = "" if groups[0].stage != LOSS else f"(loss), {len(groups)} fork{'s' * (len(groups) != 1)}"
    return {
        "network": recording.name,
        "stage": groups[0].stage,
        "site": several or groups[0].site,
        "kind": groups[0].where,
        "contributions": sum(len(group.members) for group in groups),
        "error": _largest([recording.dry_errors.get(index, np.nan) for index in indices]),
        "projected_error": _largest([float(np.max(errors)) for errors in projected]),
        "dry_samples": recording.provenance.dry_samples,
    }


def _largest(errors: Sequence[float]) -> float:
    """Return the largest known error; NaN if none is known."""
    known = [error for error in errors if not np.isnan(error)]
    return max(known, default=float("nan"))
