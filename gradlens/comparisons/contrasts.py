"""Several networks side by side: a row a network, and each of them against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from gradlens.comparisons.cross import cross_network
from gradlens.comparisons.families import family
from gradlens.comparisons.summary import merged_stages
from gradlens.comparisons.variants import Variants
from gradlens.recording import Recording
from gradlens.results import Table

COLUMNS = (
    "stage", "metric", "a", "b", "mean_a", "mean_b", "difference", "low", "high", "p", "p_permutation", "p_holm",
)  # fmt: skip


@dataclass(frozen=True)
class Contrasts:
    """Networks measured on the same samples; the first is what the others are compared with.

    Attributes:
        level: coverage of the intervals.
    """

    level: float = 0.95

    def __call__(self, recordings: Sequence[Recording]) -> dict[str, Table]:
        """The tables ``networks`` and ``contrasts``.

        Args:
            recordings: of the same seeds in the same order, the reference first.
        """
        variants = Variants(recordings, [{}] * len(recordings), self.level)
        frames = variants.frames()
        side_by_side = variants.rows(frames)
        units = {name: unit for name, unit in side_by_side.units.items() if name in side_by_side.frame}
        reference, *others = frames
        rows: list[dict[str, Any]] = []
        for stage in merged_stages(frames.values()):
            rows += family(frames, stage, [(reference, other) for other in others], self.level)
        variants.over_batches(rows)
        return {
            "networks": replace(
                side_by_side,
                name="networks",
                caption="Each network by stage and over the whole network, means over seeds.",
                units=units,
            ),
            "contrasts": Table(
                "contrasts",
                pd.DataFrame(rows, columns=list(COLUMNS)),
                f"Paired differences of each network from {reference}, b minus a.",
                how=(
                    f"Over seeds, which set the weights and the samples alike for all: mean difference with its "
                    f"{self.level:.0%} t interval; p of the paired t test; p_holm: corrected (Holm 1979) over all "
                    "networks and metrics of the same stage; p_permutation: all sign flips of the differences, "
                    "which with s seeds cannot fall below 2 / 2^s."
                ),
                units={"difference": "b - a", "p": "two-sided", "p_holm": "two-sided, corrected"},
            ),
        }


def cross_networks(recordings: Sequence[Recording]) -> Table | None:
    """``cross_network`` of the first with each other one, one below the other; None where there is none."""
    reference, *others = recordings
    found = [table for other in others if (table := cross_network(reference, other)) is not None]
    if not found:
        return None
    return replace(found[0], frame=pd.concat([table.frame for table in found], ignore_index=True))
