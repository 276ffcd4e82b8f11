"""Known results of the field, reproduced with gradlens: ``python -m benchmarks.validation``.

Writes docs/validation.json (numbers and their environment) and docs/validation.md (the same as a page), each
with the published claim, our figure, and agreement or the reason for none. Some minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import validation_exact as exact
from benchmarks import validation_null as null
from benchmarks import validation_theory as theory
from benchmarks.validation_rows import Row
from gradlens.version import VERSION

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTES = {"alarms": f"{null.PAIRING}\n\n{null.POWER}"}
"""Sentences below the heading of a section."""
SECTIONS: dict[str, tuple[str, Callable[[], list[Row]]]] = {
    "veit": ("Path lengths (Veit, Wilber & Belongie 2016, arXiv 1605.06431)", theory.veit),
    "balduzzi": ("Shattering (Balduzzi et al. 2017, arXiv 1702.08591)", theory.balduzzi),
    "independence": (
        "Independent data (Kornblith 2019; Nguyen 2021; values of the biased estimator from our own simulation)",
        theory.independence,
    ),
    "dense": ("DenseNet and CSPDenseNet (Huang 2017; Wang et al. 2019, arXiv 1911.11929)", exact.dense),
    "agreement": (
        "Diversity, stiffness, confusion (Yin 2018; Fort 2019; Sankararaman 2020)",
        exact.agreement,
    ),
    "weights": ("Per-sample weight gradients (torch.func)", exact.weights),
    "costs": ("FLOPs (fvcore)", exact.costs),
    "alarms": (
        "False alarms (5 groups of 16 sets of weights of resnet18, 600 pairs, 3 seeds, digits, 32 px, 4 batches of 32)",
        null.alarms,
    ),
}


def page(document: dict[str, Any]) -> str:
    """Return the validation page as Markdown."""
    lines = [
        "# Validation", "",
        "Known results of the field, compared with the results of gradlens. They agree in all rows but one, which",
        "gives the reason. *Published* is the value of the source or of theory. `python -m benchmarks.validation`",
        "writes this page; [validation.json](validation.json) has the numbers and the environment of the run.", "",
    ]  # fmt: skip
    for name, section in document["sections"].items():
        lines += [
            f"## {section['title']}",
            "",
            *([NOTES[name], ""] if name in NOTES else []),
            "| what | published | ours | agrees |",
            "| --- | --- | --- | --- |",
        ]
        for entry in section["rows"]:
            verdict = "yes" if entry["agrees"] else "**no**"
            remark = f"; {entry['remark']}" if entry["remark"] else ""
            lines.append(f"| {entry['what']}{remark} | {entry['claim']} | {entry['ours']} | {verdict} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, comma-separated")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    sections = {}
    for name in options.only.split(","):
        title, measure = SECTIONS[name]
        begin = time.perf_counter()
        rows = measure()
        sections[name] = {"title": title, "seconds": round(time.perf_counter() - begin, 1), "rows": rows}
        print(
            name,
            *(f"\n  {entry['agrees']} {entry['what']}: {entry['ours']} ({entry['claim']})" for entry in rows),
            flush=True,
        )
    environment = {
        "gradlens": VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    document = {"environment": environment, "sections": sections}
    (options.out / "validation.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.out / "validation.md").write_text(page(document), encoding="utf-8")


if __name__ == "__main__":
    main()
