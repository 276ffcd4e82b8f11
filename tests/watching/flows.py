"""Rows of made-up trainings, whose tables are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradlens.watching.rows import Row


def measured(
    step: int, stages: Sequence[str] = ("4", "8"), *, share: float = 0.4, backward: int = 0
) -> list[Row]:
    """Return the rows of one backward pass: two layers and a fork per stage."""
    rows = []
    for number, stage in enumerate(stages, start=1):
        rms = {f"conv{stage}a": 0.01 * number, f"conv{stage}b": number}
        rows += [Row(step, backward, stage, place, "", "rms", value) for place, value in rms.items()]
        rows += [Row(step, backward, stage, place, "", "dead", 0.0) for place in rms]
        fork = step, backward, stage, f"act{stage}:relu"
        rows += [
            Row(*fork, "residual", "share", share),
            Row(*fork, "skip", "share", 1 - share),
            Row(*fork, "", "coherence", 1.1),
            Row(step, backward, stage, "", "", "duplication", 0.1 * number),
        ]
    rows.append(Row(step, backward, "whole", "", "", "duplication", 0.5 + 0.0001 * step))
    return [*rows, Row(step, backward, "whole", "", "", "finite", 1.0)]


def broken(step: int, backward: int = 0) -> list[Row]:
    """Return the rows of a backward pass with a gradient that is not finite, in a quarter of the samples."""
    return [
        Row(step, backward, "4", "conv4a:conv", "", "not_finite", 0.25),
        Row(step, backward, "whole", "", "", "finite", 0.0),
    ]


def training(steps: Iterable[int], small_from: float = float("inf")) -> list[Row]:
    """Return the rows of a training; from a step on the share of the residual branches is small."""
    return [row for step in steps for row in measured(step, share=0.001 if step >= small_from else 0.4)]
