"""The part of the page about speed and memory that compares gradlens with other tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.measuring import Document
from benchmarks.peer_steps import GROUPED, PEERS, UNCHANGED
from benchmarks.performance_words import busy, cell, number, paragraph, table

RIVALS = {
    "module hooks": "signals",
    "torchlens, chosen": "signals",
    "torchlens, all": "all",
    "torchlens, trace": "all",
    "graphyco": "all",
    "pytorch-cka": "similarity",
    "opacus": "weights, GroupNorm",
    "BackPACK": "weights, GroupNorm",
}
"""The step of gradlens that each tool is compared with."""
INTRODUCTION = """
Time of a step divided by that of a plain step of the same network on the same batch, in one process with one thread:
median with its interval by processor time, and the median by wall clock after the comma. The interval is that of the
sign test, or the range for slow steps, which run fewer times. The tools do not do the same work. torchlens keeps the
gradients; gradlens keeps the Gram of each and checks the sum at every fork. opacus and BackPACK keep the weight
gradient of each sample and need a network that does not mix samples, so they and gradlens beside them run on the
network with GroupNorm in the place of BatchNorm. The features of pytorch-cka are the gradients at the outputs of all
convolutions and linear layers, which have to be kept until they are compared; gradlens reduces them during the pass.
benchmarks/peers.txt lists the packages.
"""


def peer_lines(document: Document) -> Iterator[str]:
    """Return the tables by size, the reasons for what does not run, and where gradlens loses."""
    yield from paragraph(INTRODUCTION)
    rows = list(document["rows"].values())
    for batch, size in dict.fromkeys((row["batch"], row["size"]) for row in rows):
        chosen = [row for row in rows if (row["batch"], row["size"]) == (batch, size)]
        yield from ["", f"**Batch {batch} at {size} px**", "", *_table(chosen)]
    yield from ["", *_verdicts(rows), "", *_versions(rows), *_reasons(rows), *busy(rows)]


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [name for name in PEERS if name not in (UNCHANGED, GROUPED)]
    lines = [[PEERS[name].title, *(_cell(row["steps"].get(name)) for row in rows)] for name in names]
    for rank, base in enumerate((UNCHANGED, GROUPED)):
        seconds = [
            f"{row['plain'][base]['processor']:.2f} s, {row['plain'][base]['wall']:.2f} s" for row in rows
        ]
        before = 0 if not rank else 1 + [PEERS[name].base for name in names].index(base)
        lines.insert(before, [PEERS[base].title, *seconds])
    return table(["", *(row["model"] for row in rows)], lines)


def _cell(step: Mapping[str, Any] | None) -> str:
    if step is None:
        return "not measured"
    return (
        "does not run" if "reason" in step else f"{cell(step['processor'])}, {number(step['wall']['median'])}"
    )


def _verdicts(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Return, for each tool, on how many cases gradlens takes longer, with the ratio of both medians."""
    for name, rival in RIVALS.items():
        pairs = {
            f"{row['model']} at {row['size']} px": row["steps"][rival]["processor"]["median"]
            / row["steps"][name]["processor"]["median"]
            for row in rows
            if "processor" in row["steps"].get(name, {}) and "processor" in row["steps"].get(rival, {})
        }
        if not pairs:
            continue
        slower = {case: ratio for case, ratio in pairs.items() if ratio > 1}
        low, high = min(pairs.values()), max(pairs.values())
        line = (
            f"- {PEERS[name].title}: gradlens ({rival}) takes {number(low)} to {number(high)} times as long"
        )
        line += f", longer in {len(slower)} of {len(pairs)} cases"
        yield f"{line} (most: {max(slower, key=slower.__getitem__)})." if slower else f"{line}."


def _versions(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    versions = {
        PEERS[name].package: step["version"]
        for row in rows
        for name, step in row["steps"].items()
        if step.get("version")
    }
    if versions:
        yield f"Releases: {', '.join(f'{package} {version}' for package, version in versions.items())}."
        yield ""


def _reasons(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Return why steps do not run, each reason once with its networks."""
    reasons: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        for name, step in row["steps"].items():
            if "reason" in step:
                reasons.setdefault((name, step["reason"]), {})[row["model"]] = None
    for (name, text), models in reasons.items():
        yield f"- {PEERS[name].title} does not run on {', '.join(models)}: `{text.replace('`', '')}`"
    if reasons:
        yield ""


def memory_lines(document: Document) -> Iterator[str]:
    """Return the table of peak memory."""
    rows = list(document["rows"].values())
    batch, size = rows[0]["batch"], rows[0]["size"]
    yield from paragraph(
        "Peak resident memory of a process divided by that of one with plain steps of the same network, "
        f"batch {batch} at {size} px. All tools are imported in all processes."
    )
    yield ""
    names = [name for name in PEERS if name not in (UNCHANGED, GROUPED)]
    lines = [
        [PEERS[base].title, *(f"{row['bytes'][base] / 1e9:.2f} GB" for row in rows)]
        for base in (UNCHANGED, GROUPED)
    ]
    for name in names:
        cells = [_ratio(row["bytes"].get(name), row["bytes"][PEERS[name].base]) for row in rows]
        lines.append([PEERS[name].title, *cells])
    yield from table(["", *(row["model"] for row in rows)], lines)


def _gigabytes(row: Mapping[str, Any], base: str) -> str:
    return f"{row['bytes'][base] / 1e9:.2f} GB"


def _ratio(value: object, plain: object) -> str:
    if isinstance(value, int) and isinstance(plain, int):
        return number(value / plain)
    return "does not run"
