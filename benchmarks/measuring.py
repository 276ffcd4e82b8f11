"""Clocks, intervals and results of the benchmarks of speed and memory.

Steps are compared in rounds: a round runs each step once, in an order that changes from round to round. The ratio of a
step is that of its time to the time of the plain step of its round, so slow drifts of a machine cancel.
"""

from __future__ import annotations

import gc
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gradlens.version import VERSION

LEVEL = 0.95
"""Confidence level of the intervals of medians."""
RESULTS = Path(__file__).resolve().parent / "results"
SAME = ("torch", "cpu", "cpus")
"""What two runs must have in common for their rows to be in one file."""
Step = Callable[[], object]
Document = dict[str, Any]


class Seconds(NamedTuple):
    """Time of one run.

    Attributes:
        processor: of all threads of this process.
        wall: on the clock.
    """

    processor: float
    wall: float


def seconds(run: Step) -> Seconds:
    """Return the time of one run, after collecting the garbage of earlier ones."""
    gc.collect()
    processor, wall = time.process_time(), time.perf_counter()
    run()
    return Seconds(time.process_time() - processor, time.perf_counter() - wall)


def order(names: Sequence[str], turn: int) -> list[str]:
    """Return the order of a round: rotated from round to round, and every second round backwards."""
    start = turn // 2 % len(names)
    turned = [*names[start:], *names[:start]]
    return turned if turn % 2 == 0 else turned[::-1]


def rounds(
    steps: Mapping[str, Step],
    plain: str,
    count: Mapping[str, int],
    measured: Callable[[Step], Seconds] = seconds,
) -> dict[str, list[Seconds]]:
    """Return the times of each step by round; all have run before, to warm up.

    Args:
        steps: by name, with the plain one.
        plain: name of the step that the others are compared with; it runs in every round.
        count: rounds in which each step runs.
        measured: the clock.
    """
    times: dict[str, list[Seconds]] = {name: [] for name in steps}
    for turn in range(max(count.values(), default=0)):
        running = [name for name in steps if name == plain or turn < count[name]]
        for name in order(running, turn):
            times[name].append(measured(steps[name]))
    return times


def ratios(times: Sequence[Seconds], plain: Sequence[Seconds]) -> dict[str, dict[str, float]]:
    """Return the median of the ratios of each round with its interval, by clock."""
    pairs = list(zip(times, plain, strict=False))  # a slow step runs in the first rounds only
    return {
        clock: interval([getattr(step, clock) / getattr(base, clock) for step, base in pairs])
        for clock in Seconds._fields
    }


def medians(times: Sequence[Seconds]) -> dict[str, float]:
    """Return the median seconds by clock."""
    return {clock: statistics.median(getattr(time, clock) for time in times) for clock in Seconds._fields}


def interval(values: Sequence[float], level: float = LEVEL) -> dict[str, float]:
    """Return the median, and the narrowest interval of order statistics that contains the true median.

    The chance that the median of the distribution is between the k-th smallest and the k-th largest of n values is
    1 - 2 P(B < k) with B binomial (n, 1/2), for any distribution (the sign test). Below six values none reaches 95 %:
    the interval is then the range, and ``coverage`` tells its level.
    """
    ordered, n = sorted(values), len(values)
    tail, rank = 0.5**n, 1
    while rank < n // 2 and 1 - 2 * (tail + math.comb(n, rank) * 0.5**n) >= level:
        tail += math.comb(n, rank) * 0.5**n
        rank += 1
    return {
        "median": statistics.median(ordered),
        "low": ordered[rank - 1],
        "high": ordered[-rank],
        "coverage": round(1 - 2 * tail, 4) if n > 1 else 0.0,
        "pairs": n,
    }


def environment() -> Document:
    """Return what the numbers depend on."""
    return {
        "gradlens": VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu": _processor(),
        "cpus": os.cpu_count(),
    }


def _processor() -> str:
    """Return the model of the processor."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@contextmanager
def load() -> Iterator[dict[str, float]]:
    """Measure how busy other processes keep the machine during the context; ``others`` is filled in at its end.

    ``others`` is the share of all cores that other processes used (Linux only, else NaN), in [0, 1].
    """
    values: dict[str, float] = {}
    busy, total = _ticks()
    begin = sum(os.times()[:4])
    yield values
    later, end = _ticks()
    spent = (sum(os.times()[:4]) - begin) * _ticks_per_second()
    values["others"] = round(max(later - busy - spent, 0.0) / (end - total), 3) if end > total else math.nan


def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def _ticks() -> tuple[int, int]:
    """Return the busy and all ticks of all cores since the start of the machine; zeros if it does not tell."""
    file = Path("/proc/stat")
    if not file.exists():
        return 0, 0
    user, nice, system, idle, wait, *rest = map(int, file.read_text().splitlines()[0].split()[1:9])
    return user + nice + system + sum(rest), user + nice + system + idle + wait + sum(rest)


def peak_bytes() -> int:
    """Return the peak resident bytes of this process (Linux only).

    The value is VmHWM: ``getrusage`` includes the resident memory of the parent at the fork, and then all processes
    seem to need the same.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


class Store:
    """The rows of one benchmark in its file, saved after each row.

    Rows that were measured before are kept, unless they come from another machine or release of PyTorch, or are
    measured no more.

    Args:
        name: of the benchmark.
        keys: names of all rows, in their order.
        folder: of the files.
    """

    def __init__(self, name: str, keys: Sequence[str], folder: Path = RESULTS) -> None:
        self.keys = list(keys)
        self.file = folder / f"{name}.json"
        old = json.loads(self.file.read_text(encoding="utf-8")) if self.file.exists() else {}
        self.environment = environment()
        known = old.get("environment", {})
        same = all(known.get(key) == self.environment[key] for key in SAME)
        self.rows: dict[str, Document] = self._ordered(old["rows"]) if old and same else {}

    def _ordered(self, rows: Mapping[str, Document]) -> dict[str, Document]:
        return {key: rows[key] for key in self.keys if key in rows}

    def save(self, key: str, row: Document) -> None:
        """Add a row, or replace it, and write the file."""
        self.rows = self._ordered({**self.rows, key: row})
        document = {"environment": self.environment, "rows": self.rows}
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
