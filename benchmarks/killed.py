"""Kill a watched training at random moments, and read what it has logged.

``python -m benchmarks.killed`` prints one line as JSON. A process that has imported everything forks a training per
kill, because importing PyTorch takes longer than the steps until the kill. Each training acknowledges a step through a
pipe when both logs have written it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.watching.logs import Log, read_rows
from gradlens.watching.rows import Row

STEPS = 150
"""Of the training that is not killed; more than a killed one reaches."""
LOGS = ("csv", "parquet")
STEP = struct.Struct("i")


class Acknowledging:
    """A log that writes the number of each step into a pipe; it is the last one, so the others have written it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def write(self, step: int, rows: Sequence[Row]) -> None:
        """Acknowledge a step."""
        os.write(self._pipe, STEP.pack(step))

    def resume(self, step: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Killed(NamedTuple):
    """What a killed training left.

    Attributes:
        after: seconds until it was killed.
        acknowledged: steps that both logs had written.
        logged: complete steps that are read back, by log.
        same: whether they are the steps of a training that was not killed, in order, and none is missing.
    """

    after: float
    acknowledged: int
    logged: dict[str, int]
    same: bool


def train(logs: Sequence[Log], steps: int) -> None:
    """Train a small network on noise, the same each time."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gl.watch(model, every=1, to=logs):
        for _ in range(steps):
            loss = functional.cross_entropy(model(torch.randn(4, 6)), torch.arange(4))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()


def logs_in(folder: Path) -> list[Log]:
    """Return the two logs of a training."""
    return [gl.CsvLog(folder / "csv"), gl.ParquetLog(folder / "parquet")]


def killed(folder: Path, after: float, expected: Sequence[Row]) -> Killed:
    """Start a training, kill it, and compare what it has logged.

    Args:
        folder: of its logs.
        after: seconds from the first acknowledged step to the kill.
        expected: the rows of a training that was not killed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        train([*logs_in(folder), Acknowledging(writing)], STEPS)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        first = pipe.read(STEP.size)
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acknowledged = len(first + pipe.read()) // STEP.size
    rows = {name: read(folder / name) for name in LOGS}
    logged = {name: steps_of(rows[name]) for name in LOGS}
    same = all(is_complete(rows[name], expected, acknowledged) for name in LOGS)
    return Killed(after, acknowledged, logged, same)


def is_complete(rows: Sequence[Row], expected: Sequence[Row], acknowledged: int) -> bool:
    """Return whether rows are those of the first steps of a training: all that were acknowledged, and at most one more.

    Args:
        rows: what was read back.
        expected: the rows of a training that was not killed.
        acknowledged: steps that had been written.
    """
    steps = steps_of(rows)
    whole = list(rows) == [row for row in expected if row.step < steps]
    return whole and acknowledged <= steps <= acknowledged + 1


def steps_of(rows: Sequence[Row]) -> int:
    """Return the number of steps that have rows."""
    return len({row.step for row in rows})


def read(folder: Path) -> list[Row]:
    """Return the rows of a log; none if it was killed before it had any."""
    try:
        return read_rows(folder)
    except GradlensError:
        return []


def measure(kills: int, longest: float, seed: int = 0) -> list[Killed]:
    """Kill trainings at random moments.

    Args:
        kills: their number.
        longest: seconds after the first step until which a training is killed.
        seed: of the moments.
    """
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logs = logs_in(folder / "whole")
        train(logs, STEPS)
        expected = read_rows(folder / "whole" / "csv")
        return [killed(folder / str(kill), moments.uniform(0, longest), expected) for kill in range(kills)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print JSON, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--longest", type=float, default=1.0, help="seconds after the first step")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    results = measure(options.kills, options.longest)
    steps = [result.acknowledged for result in results]
    print(
        json.dumps(
            {
                "kills": len(results),
                "steps": [min(steps), max(steps)],
                "complete": sum(result.same for result in results),
                "unacknowledged": {
                    name: sum(result.logged[name] - result.acknowledged for result in results)
                    for name in LOGS
                },
            }
        )
    )
    return 0 if all(result.same for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
