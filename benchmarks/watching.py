"""What ``gl.watch`` costs a training; part of ``python -m benchmarks.performance``.

Steps of a training (forward and backward pass, SGD) run in rounds, as in ``benchmarks.overhead``: plain ones, ones that
are not measured, and measured ones; and whole runs of 50 steps of which one is measured. Memory is read in a training
of 2,000 steps of which every tenth is measured.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

import gradlens as gl
from benchmarks.measuring import Step, Store, load, medians, ratios, rounds
from benchmarks.overhead import PLAIN, Case

NEVER = 1 << 30
RUN = 50
"""Steps of a run, of which one is measured."""
CASES = {
    "resnet18 8x64": (Case("resnet18", 8, 64), {"not measured": 40, "measured": 20, "run": 10}),
    "resnet50 16x96": (Case("resnet50", 16, 96), {"not measured": 20, "measured": 10, "run": 0}),
    "densenet121 16x96": (Case("densenet121", 16, 96), {"not measured": 20, "measured": 10, "run": 0}),
}
"""Networks and batches, with the rounds of each kind of step."""
MEMORY = "memory"
EARLY, LATE = 200, 2000
"""Steps at which memory is read."""


@contextmanager
def training(case: Case, every: int = 0) -> Iterator[Step]:
    """Yield a function that runs one step of a training; watched if ``every`` is not 0."""
    torch.set_num_threads(case.threads)
    model, (images, labels) = case.network(), case.data()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def run() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    with ExitStack() as stack:
        if every:
            stack.enter_context(gl.watch(model, every=every, keep=1, quiet=True))
        yield run


def repeated(step: Step, times: int) -> Step:
    """Return a function that runs a step several times."""

    def run() -> None:
        for _ in range(times):
            step()

    return run


def measure(case: Case, count: dict[str, int]) -> dict[str, Any]:
    """Return a row: ratios to the plain step, and of runs to plain runs.

    Args:
        case: network and batch.
        count: rounds of each kind of step.
    """
    with ExitStack() as stack:
        steps = {
            name: stack.enter_context(training(case, every))
            for name, every in ((PLAIN, 0), ("not measured", NEVER), ("measured", 1), ("run", RUN))
        }
        for step in steps.values():  # the first step of each is measured
            step()
        watched = repeated(steps.pop("run"), RUN)
        with load() as busy:
            times = rounds(steps, PLAIN, {name: count[name] for name in ("not measured", "measured")})
            found = {name: ratios(times[name], times[PLAIN]) for name in steps if name != PLAIN}
            if count["run"]:
                runs = {PLAIN: repeated(steps[PLAIN], RUN), "run": watched}
                long = rounds(runs, PLAIN, {"run": count["run"]})
                found["run"] = ratios(long["run"], long[PLAIN])
    return {
        "title": f"{case.model}, batch {case.batch} at {case.size} px",
        "plain": medians(times[PLAIN]),
        "ratios": found,
        **busy,
    }


class Small(nn.Module):
    """A residual network whose step takes about a millisecond."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 10)
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits ``[n, 10]`` of images ``[n, 3, h, w]``."""
        x = self.stem(x)
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.head(x.mean((2, 3)))


def memory(early: int = EARLY, late: int = LATE) -> dict[str, Any]:
    """Return resident bytes and live tensors of a watched training, early and late in it."""
    torch.manual_seed(0)
    model, seen = Small(), {}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    data = list(gl.load_data("random", batch_size=8, batches=8, image_size=8))
    with gl.watch(model, every=10, keep=4, quiet=True, to=_Nowhere()):
        for step, (images, labels) in enumerate(itertools.islice(itertools.cycle(data), late)):
            optimizer.zero_grad()
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            if step + 1 in (early, late):
                seen[step + 1] = {"bytes": _resident(), "tensors": _tensors()}
    return {"title": MEMORY, "early": {"step": early, **seen[early]}, "late": {"step": late, **seen[late]}}


class _Nowhere:
    """A log that keeps nothing, so that the watch keeps the rows of the last steps only."""

    def write(self, step: int, rows: object) -> None:
        """Drop the rows."""

    def resume(self, step: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _tensors() -> int:
    gc.collect()
    return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())


def run(only: str = "", store: Store | None = None) -> None:
    """Measure and save the cases whose names contain this."""
    store = store or Store("watching", [*CASES, MEMORY])
    if only in MEMORY:  # first: the process is small
        store.save(MEMORY, memory())
        print(store.rows[MEMORY], flush=True)
    for name, (case, count) in CASES.items():
        if only in name:
            store.save(name, measure(case, count))
            print(
                name,
                {kind: each["processor"] for kind, each in store.rows[name]["ratios"].items()},
                flush=True,
            )
