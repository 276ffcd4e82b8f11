"""Which loss makes the signals alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradlens.analyzers.duplication import Sizes
from gradlens.analyzers.losses import INTERVALS
from gradlens.analyzers.replicates import over_replicates
from gradlens.analyzers.signals import WHOLE, signals_of, stages_of
from gradlens.analyzers.similarity import Similarity, signal_similarity
from gradlens.catalogue.losses import ALL
from gradlens.catalogue.versions import ENERGY, ENERGY_GIVEN_LOSS, Version
from gradlens.metrics import mean_similarity, rarefied_duplication
from gradlens.metrics.hsic import Array
from gradlens.recording import Recording
from gradlens.results import Table

MEASURED = ("rarefied_duplication", "mean_similarity")
ENDINGS = {ENERGY: "", ENERGY_GIVEN_LOSS: "_given"}
"""Endings of the columns of a loss's own signals, and of the total's signals given the loss."""


@dataclass(frozen=True)
class DuplicationByLoss:
    """Duplication of each loss's own signals, and of the total's signals given that loss, by stage.

    Columns: ``network``, ``stage``, ``loss`` (``all`` for the sum), ``signals``, ``m``, ``rarefied_duplication``,
    ``mean_similarity`` (of the loss's own signals), ``m_given``, ``rarefied_duplication_given``,
    ``mean_similarity_given`` (of the total's signals given the loss), each value with ``_low`` and ``_high``;
    ``reason``.

    Attributes:
        sizes: ``m`` by (stage, version's label), for several networks side by side; None takes those of the recording.
    """

    sizes: Sizes | None = None

    def __call__(self, recording: Recording) -> Table | None:
        """Return the table, or None if the recording holds one loss, or no signals."""
        if not recording.losses or not recording.signals:
            return None
        return Table(
            "duplication_by_loss",
            pd.DataFrame(list(_rows(recording, self.sizes or loss_sizes([recording])))),
            "Duplication of the signals of each loss, and of their sum given each loss.",
            how=(
                "rarefied_duplication and mean_similarity: of the signals of that loss alone (of the sum in the rows "
                "all), as in the table duplication, energy. Columns that end in given: of the signals of the sum, "
                "after partialling out the Gram of that loss's gradient at the outputs; the loss that lowers them most "
                "makes the layers alike. D_m over m signals, the least number of usable signals of the stage over all "
                "losses, seeds and networks side by side; in the rows all, m is m_given, so that the values with and "
                f"without a loss given can be compared. {INTERVALS}"
            ),
            units=dict.fromkeys(
                ("rarefied_duplication", "rarefied_duplication_given"), "0 unrelated to 1 copies"
            )
            | dict.fromkeys(("mean_similarity", "mean_similarity_given"), "mean CKA of two signals"),
        )


def loss_sizes(recordings: Sequence[Recording]) -> Sizes:
    """Return the number of signals ``m`` of D_m, by stage and version: the least over losses, seeds and networks.

    Losses and seeds with fewer than two usable signals in a stage have no duplication there, so they do not count.
    """
    least: dict[tuple[str, str], int] = {}
    for recording in (recording for recording in recordings if recording.losses):
        for seed in recording.seeds:
            for values in _similarities(recording.of_seed(seed)).values():
                for stage in (*stages_of(recording), WHOLE):
                    for version in ENDINGS:
                        used = len(values.usable(version, signals_of(recording, stage)))
                        key = (stage, version.label)
                        if used > 1:
                            least[key] = min(used, least.get(key, used))
    return least


def _similarities(recording: Recording) -> dict[str, Similarity]:
    """Return, by loss and for ``all``, the similarity of its own signals (energy) and of the sum's given that loss."""
    values = {ALL: signal_similarity(recording)}
    for name in recording.losses:
        alone, partialled = signal_similarity(recording.of_loss(name)), signal_similarity(recording, name)
        versions = {ENERGY: alone.versions[ENERGY], ENERGY_GIVEN_LOSS: partialled.versions[ENERGY_GIVEN_LOSS]}
        values[name] = Similarity(versions, alone.dead, alone.unusable)
    return values


def _measured(recording: Recording, sizes: Sizes) -> dict[str, Array]:
    """Return each column ``[stages, losses]``."""
    stages, values = [*stages_of(recording), WHOLE], _similarities(recording)
    columns: dict[str, Array] = {}
    for version, ending in ENDINGS.items():
        table = np.array(
            [
                [_of_stage(value, signals_of(recording, stage), version, _size(sizes, stage, loss, version))
                 for loss, value in values.items()]
                for stage in stages
            ]
        )  # fmt: skip
        columns |= {f"{name}{ending}": table[..., index] for index, name in enumerate((*MEASURED, "used"))}
    return columns


def _size(sizes: Sizes, stage: str, loss: str, version: Version) -> int:
    """Return the number of signals m of a row; 0 if it has none.

    Those of the sum, as measured, are read beside the same given a loss, and D_m grows with m: so both have one m.
    """
    same = sizes.get((stage, ENERGY_GIVEN_LOSS.label), 0) if loss == ALL else 0
    return same or sizes.get((stage, version.label), 0)


def _of_stage(
    values: Similarity, indices: np.ndarray, version: Version, size: int
) -> tuple[float, float, float]:
    used = values.usable(version, indices)
    matrix = values.between(version, used)
    rarefied = rarefied_duplication(matrix, size) if 1 < size <= len(used) else np.nan
    return rarefied, mean_similarity(matrix), float(len(used))


def _rows(recording: Recording, sizes: Sizes) -> Iterator[dict[str, object]]:
    replicated = over_replicates(lambda replicate: _measured(replicate, sizes), recording)
    for row, stage in enumerate((*stages_of(recording), WHOLE)):
        for column, loss in enumerate((ALL, *recording.losses)):
            cells = {
                f"{name}{ending}{end}": value
                for name in MEASURED
                for ending in ENDINGS.values()
                for end, value in _interval(
                    replicated.means, replicated.half_widths, f"{name}{ending}", row, column
                )
            }
            used = float(replicated.means["used"][row, column])
            yield {
                "network": recording.name,
                "stage": stage,
                "loss": loss,
                "signals": len(signals_of(recording, stage)),
                **{f"m{ending}": _size(sizes, stage, loss, v) or np.nan for v, ending in ENDINGS.items()},
                **cells,
                "reason": _reason(recording, loss, used, float(replicated.means["used_given"][row, column])),
            }


def _interval(
    means: Mapping[str, Array], half_widths: Mapping[str, Array], name: str, row: int, column: int
) -> Iterator[tuple[str, float]]:
    mean, half = float(means[name][row, column]), float(half_widths[name][row, column])
    yield from (("", mean), ("_low", mean - half), ("_high", mean + half))


def _reason(recording: Recording, loss: str, used: float, given: float) -> str:
    """Return why a row has no duplication; empty if it has both."""
    part = recording if loss == ALL else recording.of_loss(loss)
    if used < 2:
        return f"fewer than two signals vary over samples in the gradient of {loss}"
    if part.no_loss:
        return part.no_loss
    return "" if given >= 2 else f"fewer than two signals vary beyond what {loss} explains"
