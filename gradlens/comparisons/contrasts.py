"""Several networks side by side: one row per network, and each of them against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from gradlens.comparisons.cross import cross_network
from gradlens.comparisons.families import PAIRED_UNITS, Difference, corrected, family, how_paired
from gradlens.comparisons.summary import merged_stages
from gradlens.comparisons.variants import Variants
from gradlens.recording import Recording
from gradlens.results import Table

COLUMNS = (
    "stage", "metric", "m", "a", "b", "mean_a", "mean_b", "difference", "low", "high", "p", "p_permutation", "p_holm",
)  # fmt: skip


@dataclass(frozen=True)
class Contrasts:
    """Networks measured on the same samples; the first is the reference of all comparisons.

    Attributes:
        level: coverage of the intervals.
    """

    level: float = 0.95

    def __call__(self, recordings: Sequence[Recording]) -> dict[str, Table]:
        """Return the tables ``networks`` and ``contrasts``.

        Args:
            recordings: of the same seeds in the same order, the reference first.
        """
        variants = Variants(recordings, [{}] * len(recordings), self.level)
        frames = variants.frames()
        side_by_side = variants.rows(frames)
        reference, *others = frames
        rows: list[Difference] = []
        for stage in merged_stages(frames.values()):
            rows += family(frames, stage, [(reference, other) for other in others], self.level)
        rows = corrected(variants.over_batches(rows))
        return {
            "networks": replace(
                side_by_side,
                name="networks",
                caption="Each network by stage and over the whole network, means over seeds.",
                units={name: unit for name, unit in side_by_side.units.items() if name in side_by_side.frame},
            ),
            "contrasts": Table(
                "contrasts",
                pd.DataFrame(rows, columns=list(COLUMNS)),
                f"Paired differences of each network from {reference}, b minus a.",
                how=how_paired(self.level, "networks and metrics"),
                units=PAIRED_UNITS,
            ),
        }


def cross_networks(recordings: Sequence[Recording]) -> Table | None:
    """Return ``cross_network`` of the first network with each other network, as one table; None if no pair has one."""
    reference, *others = recordings
    tables = [table for other in others if (table := cross_network(reference, other)) is not None]
    if not tables:
        return None
    return replace(tables[0], frame=pd.concat([table.frame for table in tables], ignore_index=True))
