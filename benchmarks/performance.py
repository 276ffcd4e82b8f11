"""Speed and memory: ``python -m benchmarks.performance`` writes docs/performance.md from benchmarks/results.

``--measure`` measures everything first, in about an hour on two idle cores, and saves each row in
benchmarks/results; ``--only overhead`` or ``--only "peers/vit 8x96"`` measures a section, or the rows of it whose names
contain the text after the slash, and keeps the others. The packages of benchmarks/peers.txt are measured where they are
installed.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import commands, growth, overhead, peers, watching
from benchmarks.measuring import RESULTS, Document, Store
from benchmarks.overhead import KINDS, MODELS, Case
from benchmarks.performance_peers import memory_lines, peer_lines
from benchmarks.performance_watching import watching_lines
from benchmarks.performance_words import busy, cell, environment_line, paragraph, table

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BATCH, SIZE = 16, 224
PAIRS = {"signals": 9, "all": 9, "weights": 6}
"""Rounds of each kind with one thread; more for the kinds whose ratio is close to one."""
PAIRS_THREADS = {"signals": 6, "all": 6}
"""Rounds with two threads."""
TITLES = {
    "samples": "batch (samples), resnet50, every edge, 64 px",
    "resolution": "resolution, resnet50, every edge, batch 8",
    "depth": "depth, every edge, batch 8 at 64 px",
    "sites": "what is watched, batch 8 at 96 px",
    "seeds": "seeds of a comparison of resnet18 and cspresnet50, 2 batches of 16 digits at 32 px, with all tables",
}
"""What grows, by axis."""
CAPTIONS = {
    "forks": '`sites="forks"`',
    "signals": '`sites="signals"`',
    "all": '`sites="all"` (every edge)',
    "weights": '`space="weights"`',
}
INTRODUCTION = """
A capture adds hooks and one product per watched gradient to a backward pass. Steps are timed in rounds with the plain
step, in alternating order, and each ratio is that of one round. `python -m benchmarks.performance --measure` measures
everything and writes this page from the numbers in `benchmarks/results`; `python -m benchmarks.overhead` measures
chosen networks.
"""
NOTES = """
The additional time is spent on the Gram products (`n² d` multiply-adds per gradient; a fork of densenet121 has up to 24
contributions) and on the sketches (random projections) from which contributions are compared in pairs. Recurrent layers
run step by step during a capture, which [takes longer](metrics.md#recurrences).
"""
"""What holds for any machine."""
FLOOR = (
    "The *floor* is the larger of two times: each watched gradient read once from memory, and the multiply-adds, "
    "`n² d` per gradient `[n, d]` and in weight space those of each sample's gradient, at the rates that this machine "
    "reached in the same run"
)
"""What the floor is; the rates follow."""


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        title: heading.
        measure: measures and saves the rows whose names contain a text.
        lines: makes Markdown from the saved document.
    """

    title: str
    measure: Callable[[str], None]
    lines: Callable[[Document], Iterator[str]]


def measure_overhead(only: str, name: str = "overhead", threads: int = 1) -> None:
    """Measure captured beside plain steps."""
    pairs = PAIRS if threads == 1 else PAIRS_THREADS
    cases = [Case(model, BATCH, SIZE, threads) for model in MODELS]
    store = Store(name, [case.key for case in cases])
    for case in cases:
        if only in case.key:
            store.save(case.key, overhead.measure(case, pairs))
            print(overhead.summary(store.rows[case.key]), flush=True)


def measure_threads(only: str) -> None:
    """Measure captured beside plain steps with two threads."""
    measure_overhead(only, "overhead_threads", 2)


def measure_memory(only: str) -> None:
    """Measure peak memory of captured beside plain steps."""
    cases = [Case(model, BATCH, SIZE, 2) for model in MODELS]
    store = Store("memory", [case.key for case in cases])
    for case in cases:
        if only in case.key:
            row = overhead.memory_row(overhead.peaks(case, list(PAIRS), 1))
            store.save(case.key, {"model": case.model, "batch": BATCH, "size": SIZE, **row})
            print(overhead.summary(store.rows[case.key]), flush=True)


def overhead_lines(document: Document) -> Iterator[str]:
    rows = list(document["rows"].values())
    first = rows[0]
    threads = "one thread" if first["threads"] == 1 else f"{first['threads']} threads"
    yield from paragraph(
        f"Time of a captured step divided by that of a plain one, batch {first['batch']} at {first['size']} px, "
        f"{threads}: median of the ratios of pairs, and its interval (at least 95 %, sign test). {FLOOR} "
        f"{_rates(first)}"
    )
    yield from ["", *_overhead_table(rows), "", *busy(rows)]


def _overhead_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    kinds = [kind for kind in KINDS if kind in rows[0]["ratios"]]
    lines = [
        [
            row["model"],
            words,
            *(cell(row["ratios"][kind][clock]) for kind in kinds),
            f"{row['plain'][clock]:.2f}",
        ]
        for row in rows
        for clock, words in (("processor", "processor time"), ("wall", "wall clock"))
    ]
    floors = [[row["model"], "floor", *(f"{row['floor'][kind]:.2f}" for kind in kinds), ""] for row in rows]
    ordered = [
        line for index, floor in enumerate(floors) for line in (*lines[2 * index : 2 * index + 2], floor)
    ]
    return table(["", "", *(CAPTIONS[kind] for kind in kinds), "plain step, s"], ordered)


def _rates(row: Mapping[str, Any]) -> str:
    """Return the rates of the machine in words."""
    return (
        f"(here {row['rate_bandwidth'] / 1e9:.1f} GB/s, and {row['rate_products'] / 1e9:.1f} · 10⁹ multiply-adds per "
        "second in products of large matrices)."
    )


def overhead_memory_lines(document: Document) -> Iterator[str]:
    rows = list(document["rows"].values())
    kinds = list(rows[0]["ratios"])
    yield from paragraph(
        "Peak resident memory of a process that runs captured steps, divided by that of one with plain steps, "
        f"batch {rows[0]['batch']} at {rows[0]['size']} px:"
    )
    yield ""
    yield from table(
        ["", *(CAPTIONS[kind] for kind in kinds), "plain, GB"],
        [
            [
                row["model"],
                *(f"{row['ratios'][kind]:.3f}" for kind in kinds),
                f"{row['bytes']['plain'][0] / 1e9:.2f}",
            ]
            for row in rows
        ],
    )
    yield ""
    yield from paragraph(
        "These values were measured with a fixed glibc threshold for returning freed memory to the system. By default "
        "glibc adapts this threshold, and peaks vary between processes; "
        "`python -m benchmarks.overhead --memory --allocator default` measures this."
    )


def growth_lines(document: Document) -> Iterator[str]:
    rows = list(document["rows"].values())
    machine = next(row for row in rows if "floor" in row)
    yield from paragraph(
        f"Processor time of a captured step beyond a plain one, median (range) of pairs, one thread. {FLOOR} "
        f"{_rates(machine)} The rest is spent on the sketches, on the check of sums, and on a fixed cost per gradient, "
        "which counts most for small batches."
    )
    for axis, title in TITLES.items():
        chosen = [row for row in rows if row["axis"] == axis]
        if chosen:
            yield from ["", f"**{title[0].upper()}{title[1:]}**", "", *_growth_table(chosen)]
    yield from ["", *busy(rows)]


def _growth_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if "floor" not in rows[0]:
        return table(
            ["seeds", "processor time, s"], [[row["value"], f"{row['seconds']:.1f}"] for row in rows]
        )
    head = ["", "plain step, s", "beyond, s", "of plain", "gradients", "MB", "floor, s", "beyond / floor"]
    return table(
        head,
        [
            [
                row["value"],
                f"{row['plain']:.3f}",
                f"{row['seconds']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
                f"{row['seconds'] / row['plain']:.0%}",
                str(row["gradients"]),
                f"{row['bytes'] / 1e6:.0f}",
                f"{row['floor']:.4f}",
                f"{row['times_floor']:.1f}",
            ]
            for row in rows
        ],
    )


def command_lines(document: Document) -> Iterator[str]:
    rows = list(document["rows"].values())
    yield "Wall clock, with the threads that PyTorch chooses."
    yield ""
    yield from table(["", "time"], [[row["title"], commands.taken(row)] for row in rows])
    yield from ["", *busy(rows)]


SECTIONS = {
    "overhead": Section("A captured and a plain step", measure_overhead, overhead_lines),
    "overhead_threads": Section("The same with two threads", measure_threads, overhead_lines),
    "memory": Section("Memory", measure_memory, overhead_memory_lines),
    "peers": Section("Beside other tools", peers.run, peer_lines),
    "peers_memory": Section("Memory beside other tools", peers.run_memory, memory_lines),
    "watching": Section("In a training loop", watching.run, watching_lines),
    "growth": Section("How the cost grows", growth.run, growth_lines),
    "commands": Section("Commands and analyses", commands.run, command_lines),
}
"""The parts of the page, by the name of their file of results."""


def page(documents: Mapping[str, Document]) -> str:
    """Return the page as Markdown."""
    lines = ["# Speed and memory", "", *paragraph(INTRODUCTION), "", *paragraph(NOTES), ""]
    for name, section in SECTIONS.items():
        if documents.get(name, {}).get("rows"):
            lines += [f"## {section.title}", "", *section.lines(documents[name]), ""]
            lines += [environment_line(documents[name]["environment"]), ""]
    return "\n".join(lines)


def saved(folder: Path = RESULTS) -> dict[str, Document]:
    """Return the results by section."""
    files = {name: folder / f"{name}.json" for name in SECTIONS}
    return {
        name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure if requested, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--only", default="", help="SECTION or SECTION/TEXT, comma-separated")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    chosen = options.only.split(",") if options.only else list(SECTIONS)
    for choice in chosen if options.measure else ():
        name, _, text = choice.partition("/")
        print(f"== {SECTIONS[name].title}", flush=True)
        SECTIONS[name].measure(text)
    PAGE.write_text(page(saved()), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
