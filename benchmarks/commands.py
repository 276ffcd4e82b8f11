"""How long commands, imports and analyses take; part of ``python -m benchmarks.performance``.

Each is measured in a process of its own, by wall clock, with the threads that PyTorch chooses. The first run of a
command fills the caches of the file system; the median of the next ones counts.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measuring import Store, load
from benchmarks.overhead import last_error

CAPTURED = """
import sys, time, warnings
import gradlens as gl
warnings.simplefilter("ignore")
model = gl.load_model("densenet121", num_classes=10, seed=0)
batches = gl.load_data("random", batch_size=8, batches=24, image_size=64)
recording = gl.capture(model, batches, sites="all", progress=False)
begin = time.perf_counter()
{}
print(time.perf_counter() - begin)
"""
"""Prints the seconds of an analysis of all edges of a network in 24 batches."""


class Command(NamedTuple):
    """What is run.

    Attributes:
        title: for the page.
        arguments: of Python; ``OUT`` is a new folder.
        repeats: runs; one for the long ones.
        prints: whether it prints its seconds itself.
    """

    title: str
    arguments: tuple[str, ...]
    repeats: int = 5
    prints: bool = False


COMMANDS = {
    "help": Command("`gradlens --help`", ("-m", "gradlens", "--help")),
    "import": Command("`import gradlens`", ("-c", "import gradlens")),
    "studies": Command("`import gradlens.studies.studies`", ("-c", "import gradlens.studies.studies")),
    "analysis": Command(
        "duplication of densenet121, every edge, 24 batches of 8, with intervals",
        ("-c", CAPTURED.format("gl.analyze(recording, tables=['duplication'], progress=False)")),
        1,
        prints=True,
    ),
    "analyses": Command(
        "all tables of densenet121, every edge, 24 batches of 8",
        ("-c", CAPTURED.format("gl.analyze(recording, progress=False)")),
        1,
        prints=True,
    ),
    "compare": Command(
        "`gradlens compare resnet50 cspresnet50`, with the page",
        ("-m", "gradlens", "compare", "resnet50", "cspresnet50", "--out", "OUT"),
        1,
    ),
}
"""What is measured, by name."""


def measure(command: Command) -> dict[str, Any]:
    """Return a row: the seconds of a command, or the reason that it does not run."""
    times: list[float] = []
    with load() as busy:
        for number in range(command.repeats):
            try:
                time_taken = _seconds(command)
            except RuntimeError as error:
                return {"title": command.title, "reason": str(error)}
            if number or command.repeats == 1:
                times.append(time_taken)
    return {"title": command.title, "seconds": statistics.median(times), "runs": len(times), **busy}


def _seconds(command: Command) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "run")
        arguments = [out if word == "OUT" else word for word in command.arguments]
        begin = time.perf_counter()
        process = subprocess.run(
            [sys.executable, *arguments], check=False, capture_output=True, text=True, env=_environment()
        )
        taken = time.perf_counter() - begin
    if process.returncode:
        raise RuntimeError(last_error(process.stderr))
    return float(process.stdout.splitlines()[-1]) if command.prints else taken


def _environment() -> dict[str, str]:
    """Return the environment, in which the first run keeps what it compiles, as an installation does."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(only: str = "", store: Store | None = None) -> None:
    """Measure and save the commands whose names contain this."""
    store = store or Store("commands", list(COMMANDS))
    for name, command in COMMANDS.items():
        if only in name:
            store.save(name, measure(command))
            print(f"{command.title}: {taken(store.rows[name])}", flush=True)


def taken(row: Mapping[str, Any]) -> str:
    """Return the time of a row for the page, or the reason that there is none."""
    return f"{row['seconds']:.2f} s" if "seconds" in row else f"does not run: {row['reason']}"
