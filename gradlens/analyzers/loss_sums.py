"""The check that the gradients of the losses add up to the gradient of their sum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.catalogue.losses import ALL
from gradlens.recording import Recording
from gradlens.results import Table


@dataclass(frozen=True)
class LossSums:
    """Value, reach and exactness of each loss, one row per loss and one for their sum (``all``).

    Columns: ``network``, ``loss``, ``value`` (mean over batches), ``live_signals``, ``signals``, ``fork_error`` (worst
    fork of that loss's backward passes), ``sum_error`` (worst gradient: sum of the losses' gradients against the
    gradient of their sum; of the row ``all``), ``reason``.
    """

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if the recording holds one loss."""
        if not recording.losses:
            return None
        return Table(
            "loss_sums",
            pd.DataFrame(list(_rows(recording))),
            "Relative error of the sum of the losses' gradients against the gradient of their sum.",
            how=(
                "sum_error: a seeded random functional of the gradient at each watched site, over samples and "
                "features; the sum over the losses against that of their sum, relative to the largest of their norms, "
                "worst site and batch (float32 rounding expected, about 1e-6). fork_error: the worst fork in the "
                "passes of one loss (see exactness). A capture with a wrong sum raises an error."
            ),
            units={"value": "mean over batches", "fork_error": "relative", "sum_error": "relative"},
        )


def _rows(recording: Recording) -> Iterator[dict[str, object]]:
    assert recording.by_loss is not None
    values, errors = recording.by_loss.read("values"), recording.by_loss.read("errors")
    parts = [(name, recording.of_loss(name)) for name in recording.losses]
    means = [*values.mean(axis=1), values.sum(axis=0).mean()]
    for (name, part), value in zip([*parts, (ALL, recording)], means, strict=True):
        energies = [part.energies[signal.number] for signal in part.signals if signal.sampled]
        live = sum(bool(energy.any()) for energy in energies)
        yield {
            "network": recording.name,
            "loss": name,
            "value": float(value),
            "live_signals": live,
            "signals": len(energies),
            "fork_error": max(
                (float(np.max(error)) for error in part.projected_errors.values()), default=np.nan
            ),
            "sum_error": float(errors.max(initial=0.0)) if name == ALL else np.nan,
            "reason": "" if live else "no gradient at any signal, in any batch",
        }
