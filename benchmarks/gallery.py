"""Make the pictures of docs/gallery.md with the commands that it shows: ``python -m benchmarks.gallery``.

Each run executes one command line of the page; its figures are copied with fewer colours. With names of runs
(``python -m benchmarks.gallery reuse``), only the pictures of these runs are made. With ``--saved DIR`` they are drawn
from a result that one of the commands saved in DIR, without measuring.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

PAGE = Path(__file__).parents[1] / "docs" / "gallery.md"
FOLDER = PAGE.parent / "images" / "gallery"
COLOURS = 128  # of the palette; the figures have flat areas and one colour scale
FEWER = 64  # colours if the picture is too large, those that differ most, so that small marks keep theirs
LARGEST = 60_000  # bytes of a picture

RUNS: dict[str, str] = {
    "compare": "gradlens compare resnet50 cspresnet50",
    "networks": "gradlens compare resnet50 cspresnet50 densenet121 --seeds 5 --no-throughput",
    "strategies": "gradlens strategies peleenet --seeds 5 --no-throughput",
    "training": "gradlens strategies peleenet --strategies none,csp --seeds 5 --train-steps 100 --eval --no-throughput",
    "steps": (
        "gradlens compare benchmarks/recurrent.py:tanh benchmarks/recurrent.py:lstm "
        "--input tokens:length=20,vocabulary=100 --seeds 1 --no-throughput"
    ),
    "detectors": "gradlens compare fcos:resnet50 fcos:cspresnet50 --data scenes --seeds 3",
    "reuse": "gradlens compare densenet121 densenet121@csp --space weights --seeds 1 --no-throughput",
    "watched": "gradlens report flow",
}
"""The command of each run, by name; the last one reads what ``benchmarks.watched`` has logged."""


def pictures() -> dict[str, str]:
    """By table, the run that its picture is from: the one whose command ends its section in the gallery."""
    commands = {command: run for run, command in RUNS.items()}
    runs = {}
    for section in re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.M)[1:]:
        table = re.search(r": `(\w+)`$", section.splitlines()[0])
        command = re.search(r"^From: `(.+)`", section, flags=re.M)
        if table and command:
            runs[table[1]] = commands[command[1]]
    return runs


def make(name: str, folder: Path, saved: str = "") -> None:
    """Execute one run, or read it from the folder ``saved``, and save its pictures in ``folder``."""
    with tempfile.TemporaryDirectory() as scratch:
        if name == "watched" and not saved:
            saved = f"{scratch}/flow"
            subprocess.run([sys.executable, "-m", "benchmarks.watched", saved], check=True)
        words = ["report", saved] if saved else shlex.split(RUNS[name])[1:]
        words += ["--out", f"{scratch}/run"]
        subprocess.run([sys.executable, "-m", "gradlens", *words], check=True)
        for table in (table for table, run in pictures().items() if run == name):
            save_small(Path(scratch, "run", "figures", f"{table}.png"), folder / f"{table}.png")


def save_small(picture: Path | BytesIO, path: Path) -> None:
    """Save a picture with a palette: about a third of the bytes, without a visible difference."""
    with Image.open(picture) as image:
        whole = image.convert("RGB")
    whole.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size >= LARGEST:
        fewer = whole.quantize(FEWER, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        fewer.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", metavar="RUN", help=f"any of {', '.join(RUNS)}; default: all")
    parser.add_argument("--saved", default="", metavar="DIR", help="draw one run from its saved result")
    arguments = parser.parse_args()
    chosen = arguments.runs or list(RUNS)
    if unknown := set(chosen) - set(RUNS):
        parser.error(f"unknown run {', '.join(sorted(unknown))}; use {', '.join(RUNS)}")
    if arguments.saved and len(chosen) != 1:
        parser.error("--saved DIR holds one run; name it")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        make(name, FOLDER, arguments.saved)


if __name__ == "__main__":
    main()
