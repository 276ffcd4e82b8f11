"""The pictures of docs/gallery.md, made by its own commands: ``python -m benchmarks.gallery``.

Each run is the command line that the page shows; the figures it leaves are copied with fewer colours.
Names after the command (``python -m benchmarks.gallery reuse``) make the pictures of these runs only.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parents[1] / "docs" / "images" / "gallery"
COLOURS = 128  # of a palette; the figures have flat areas and one colour scale

RUNS: dict[str, str] = {
    "compare": "gradlens compare resnet50 cspresnet50 --no-zero-init",
    "networks": "gradlens compare resnet50 cspresnet50 densenet121 --no-zero-init --seeds 5 --no-throughput",
    "strategies": "gradlens strategies peleenet --seeds 3 --train-steps 100 --eval --no-throughput",
    "reuse": "gradlens compare densenet121 densenet121@csp --space weights --seeds 1 --no-throughput",
}
"""A command by name."""

PICTURES: dict[str, str] = {
    **dict.fromkeys(("networks", "contrasts"), "networks"),
    **dict.fromkeys(("strategies", "differences", "trajectory"), "strategies"),
    **dict.fromkeys(("duplication", "correlation", "cross", "branches", "shares", "flow"), "compare"),
    **dict.fromkeys(("structure", "paths", "path_lengths", "cost", "throughput"), "compare"),
    "reuse": "reuse",
}
"""The run that each table's picture is from."""


def make(name: str, folder: Path) -> None:
    """Run a command and keep the pictures that are from it in ``folder``."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [*shlex.split(RUNS[name])[1:], "--out", f"{scratch}/run"]
        subprocess.run([sys.executable, "-m", "gradlens", *words], check=True)
        for table in (table for table, run in PICTURES.items() if run == name):
            save_small(Path(scratch, "run", "figures", f"{table}.png"), folder / f"{table}.png")


def save_small(picture: Path, place: Path) -> None:
    """Save a picture with a palette: about a third of its bytes, and nothing to see of it."""
    with Image.open(picture) as whole:
        small = whole.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(place, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help=f"of {', '.join(RUNS)}; all when none is given"
    )
    chosen = parser.parse_args().runs or list(RUNS)
    if unknown := set(chosen) - set(RUNS):
        parser.error(f"no run {', '.join(sorted(unknown))}; use {', '.join(RUNS)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        make(name, FOLDER)


if __name__ == "__main__":
    main()
