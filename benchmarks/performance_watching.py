"""What a watched training costs, for the page of speed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import watching
from benchmarks.measuring import Document
from benchmarks.performance_words import busy, paragraph, table


def watching_lines(document: Document) -> Iterator[str]:
    """Yield what a watched training costs."""
    rows = [row for row in document["rows"].values() if "ratios" in row]
    if rows:
        yield from paragraph(
            "Processor time of a step of a training (forward and backward pass, SGD) divided by that of the same step "
            f"without `gl.watch`, one thread, as above; and of runs of {watching.RUN} steps of which one is measured."
        )
        kinds = {kind: None for row in rows for kind in row["ratios"]}
        yield from [
            "",
            *table(["", *kinds, "plain step, s"], [_watched(row, list(kinds)) for row in rows]),
            "",
        ]
        yield from busy(rows)
    held = document["rows"].get(watching.MEMORY)
    if held:
        early, late = held["early"], held["late"]
        yield from [
            "",
            *paragraph(
                f"In a training of {late['step']:,} steps of which every tenth is measured, the process had "
                f"{early['bytes'] / 1e6:.1f} MB and {early['tensors']} tensors after {early['step']} steps, and "
                f"{late['bytes'] / 1e6:.1f} MB and {late['tensors']} tensors at the end."
            ),
        ]


def _watched(row: Mapping[str, Any], kinds: Sequence[str]) -> list[str]:
    values = [_precise(row["ratios"][kind]["processor"]) if kind in row["ratios"] else "" for kind in kinds]
    return [row["title"], *values, f"{row['plain']['processor']:.3f}"]


def _precise(value: Mapping[str, float]) -> str:
    return f"{value['median']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
