"""The effect of a transition strategy, divided into that of its transitions and that of its cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from gradlens.comparisons.families import PAIRED_UNITS, Difference, corrected, family
from gradlens.comparisons.summary import merged_stages
from gradlens.comparisons.variants import Variants
from gradlens.results import Table

TOTAL, TRANSITIONS, CUT = "total", "transitions", "cut"
"""Effects of a strategy: strategy minus baseline, control minus baseline, and strategy minus control."""
COLUMNS = ("strategy", "stage", "metric", "effect", "a", "b")


class Part(NamedTuple):
    """One effect of a strategy: network ``b`` minus network ``a``."""

    strategy: str
    effect: str
    a: str
    b: str


@dataclass(frozen=True)
class Effects:
    """The effects of strategies.

    Attributes:
        baseline: label of the unchanged network; empty if it was not measured, which leaves the effect of the cut.
        controls: label of the network with the transitions but without the cut, by label of the strategy.
        level: coverage of the intervals.
    """

    baseline: str
    controls: Mapping[str, str]
    level: float = 0.95

    def __call__(self, variants: Variants, frames: Mapping[str, pd.DataFrame]) -> Table | None:
        """Return the table, with p-values corrected over all its rows; None if no strategy has a control.

        Args:
            variants: all networks.
            frames: ``Variants.frames()`` of them.
        """
        parts = list(self._parts())
        pairs = list(dict.fromkeys((part.a, part.b) for part in parts))
        measured: list[Difference] = []
        for stage in merged_stages(frames.values()):
            measured += variants.over_batches(family(frames, stage, pairs, self.level))
        differences = corrected(measured)
        rows = [
            {"strategy": part.strategy, "effect": part.effect, **row}
            for part in parts
            for row in differences
            if (row["a"], row["b"]) == (part.a, part.b)
        ]
        return self._table(pd.DataFrame(rows)) if rows else None

    def _parts(self) -> Iterator[Part]:
        for strategy, control in self.controls.items():
            if self.baseline:
                yield Part(strategy, TOTAL, self.baseline, strategy)
                yield Part(strategy, TRANSITIONS, self.baseline, control)
            yield Part(strategy, CUT, control, strategy)

    def _table(self, frame: pd.DataFrame) -> Table:
        columns = [*COLUMNS, *(name for name in frame if name not in COLUMNS)]
        return Table(
            "effects",
            frame[columns],
            "The effect of each strategy, divided into that of its transitions and that of its cut.",
            how=(
                "The control has the strategy's transitions, but no channel bypasses a block (gamma=0). Effect of the "
                "transitions: control minus baseline; effect of the cut: strategy minus control, which includes the "
                "two convolutions of partial='project'; both add up to the total, strategy minus baseline. Over "
                f"seeds, paired: mean difference with its {self.level:.0%} t interval and p of the paired t test; "
                "p_holm: corrected (Holm 1979) over all rows of this table, a difference that two strategies share "
                "counted once."
            ),
            units=PAIRED_UNITS,
        )
