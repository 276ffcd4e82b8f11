"""Compare the cost of a captured and of a plain training step.

``python -m benchmarks.overhead`` runs plain and captured steps in rounds (see ``benchmarks.measuring``) and prints the
median of the ratios by processor time and by wall clock, with its interval; ``--memory`` instead compares peak memory
in separate processes (Linux only). Prints JSON. ``--limit 1.5`` exits with status 1 if a ratio by processor time is
larger.

Peak memory is measured with a fixed threshold of 1 MiB from which glibc returns blocks to the system. By default
glibc adapts the threshold to earlier frees: the peak of a plain step then varies by 6 % between processes and is
twice what its tensors need; ``--allocator default`` measures this.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from benchmarks.floor import Work, rates, work_of
from benchmarks.measuring import Step, environment, load, medians, peak_bytes, ratios, rounds
from gradlens.hooks.watcher import Watcher

ALLOCATORS: dict[str, dict[str, str]] = {
    "steady": {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)},
    "default": {},
}
KINDS = {
    "forks": gl.Watch(sites="forks"),
    "signals": gl.Watch(sites="signals"),
    "all": gl.Watch(sites="all"),
    "weights": gl.Watch(space="weights"),
}
"""What is watched, by name."""
MEASURED = ("signals", "all", "weights")
MODELS = ("resnet50", "cspresnet50", "densenet121")
PLAIN = "plain"
STEPS_AT_PEAK = 2
"""Steps of a process whose peak memory is read."""


@dataclass(frozen=True)
class Case:
    """A network and a batch.

    Attributes:
        model: name of the network, as for ``gradlens.load_model``.
        batch: samples.
        size: side of the images in pixels.
        threads: of PyTorch.
    """

    model: str
    batch: int
    size: int
    threads: int = 1

    @property
    def key(self) -> str:
        """Name of the case in a file of results."""
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return f"{self.model} {self.batch}x{self.size}{threads}"

    def network(self) -> nn.Module:
        """Return the network with random weights."""
        return gl.load_model(self.model, num_classes=10, image_size=self.size, seed=0)

    def data(self) -> tuple[Tensor, Tensor]:
        """Return images and labels."""
        batches = gl.load_data("random", batch_size=self.batch, batches=1, image_size=self.size)
        images, labels = batches[0]
        return images, labels


def plain_step(model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Return a training step without an optimizer."""
    parameters = list(model.parameters())

    def run() -> None:
        loss = functional.cross_entropy(model(images), labels)
        torch.autograd.grad(loss, parameters, allow_unused=True)

    return run


def captured_step(kind: str, model: nn.Module, images: Tensor, labels: Tensor) -> Step:
    """Return a captured step; it is planned here, as in the first batch of a capture."""
    return step_and_work(kind, model, images, labels)[0]


def step_and_work(kind: str, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Step, Work]:
    """Return a captured step, and its least work."""
    watcher = Watcher(model, KINDS[kind])
    state, _ = watcher.first((images, labels))
    return lambda: watcher.next(state, 0, (images, labels)), work_of(state.plan, state.n)


def steps_of(case: Case, kinds: Sequence[str]) -> tuple[dict[str, Step], dict[str, Work]]:
    """Return the plain and the captured steps of one network on one batch, and the least work of each."""
    torch.set_num_threads(case.threads)
    model, (images, labels) = case.network(), case.data()
    captured = {kind: step_and_work(kind, model, images, labels) for kind in kinds if kind != PLAIN}
    steps = {kind: step for kind, (step, _) in captured.items()}
    return {PLAIN: plain_step(model, images, labels), **steps}, {
        kind: work for kind, (_, work) in captured.items()
    }


def measure(case: Case, pairs: Mapping[str, int]) -> dict[str, Any]:
    """Return a row: ratios of each kind to the plain step, with intervals, and the least ratio (``benchmarks.floor``).

    Args:
        case: network and batch.
        pairs: by kind, the rounds in which it runs.
    """
    steps, works = steps_of(case, list(pairs))
    machine = rates()
    for run in steps.values():  # to warm up
        run()
    with load() as busy:
        times = rounds(steps, PLAIN, pairs)
    plain = times[PLAIN]
    wall = medians(plain)["wall"]
    return {
        "model": case.model,
        "batch": case.batch,
        "size": case.size,
        "threads": case.threads,
        "plain": medians(plain),
        "ratios": {kind: ratios(times[kind], plain) for kind in pairs},
        "floor": {kind: 1 + work.floor(machine) / wall for kind, work in works.items()},
        **{f"rate_{name}": value for name, value in machine._asdict().items()},
        "others": busy["others"],
    }


def peak(case: Case, kind: str) -> int:
    """Return the peak resident bytes of this process after a few steps."""
    run = steps_of(case, [kind])[0][kind]
    for _ in range(STEPS_AT_PEAK):
        run()
    return peak_bytes()


def peaks(case: Case, kinds: Sequence[str], pairs: int, allocator: str = "steady") -> dict[str, list[int]]:
    """Return the peak bytes of plain and captured steps, alternating, each in its own process."""
    values: dict[str, list[int]] = {kind: [] for kind in (PLAIN, *kinds)}
    for _ in range(pairs):
        for kind, samples in values.items():
            command = [
                "benchmarks.overhead",
                "--peak",
                kind,
                "--models",
                case.model,
                "--batch",
                str(case.batch),
            ]
            command += ["--size", str(case.size), "--threads", str(case.threads)]
            samples.append(peak_of(command, allocator))
    return values


def peak_of(command: Sequence[str], allocator: str = "steady") -> int:
    """Return what a module prints that is run in a process of its own: its peak bytes."""
    environ = {**os.environ, **ALLOCATORS[allocator]}
    process = subprocess.run(
        [sys.executable, "-m", *command], check=False, capture_output=True, text=True, env=environ
    )
    if process.returncode:
        raise RuntimeError(last_error(process.stderr))
    return int(process.stdout.splitlines()[-1])


def last_error(text: str) -> str:
    """Return the last line that names an error, else the last line; libraries may write more after it."""
    lines = text.strip().splitlines() or ["no message"]
    return next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)), lines[-1])


def memory_row(values: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return the medians of peak memory beside that of a plain step."""
    medians = {kind: statistics.median(samples) for kind, samples in values.items()}
    return {
        "bytes": {kind: list(samples) for kind, samples in values.items()},
        "ratios": {kind: round(medians[kind] / medians[PLAIN], 4) for kind in values if kind != PLAIN},
    }


def excess(rows: Sequence[Mapping[str, Any]], limit: float) -> list[str]:
    """Return a line per ratio by processor time that is above the limit."""
    return [
        f"{row['model']}, {kind}: {clocks['processor']['median']:.2f} times a plain step, above {limit:g}"
        for row in rows
        for kind, clocks in row["ratios"].items()
        if clocks["processor"]["median"] > limit
    ]


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--kinds", default=",".join(MEASURED), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--pairs", type=int, default=9, help="rounds; processes with --memory")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, help="largest allowed ratio by processor time")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--allocator", choices=ALLOCATORS, default="steady", help="for --memory")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print JSON, and return the exit status."""
    options = parsed(arguments)
    cases = [Case(name, options.batch, options.size, options.threads) for name in options.models.split(",")]
    if options.peak:
        print(peak(cases[0], options.peak))
        return 0
    kinds = options.kinds.split(",")
    rows = []
    for case in cases:
        if options.memory:
            values = peaks(case, kinds, options.pairs, options.allocator)
            row = {"model": case.model, "allocator": options.allocator, **memory_row(values)}
        else:
            row = measure(case, dict.fromkeys(kinds, options.pairs))
        rows.append(row)
        print(summary(row), file=sys.stderr, flush=True)
    print(json.dumps({"environment": environment(), "rows": rows}, indent=1))
    over = [] if options.limit is None or options.memory else excess(rows, options.limit)
    print(*over, sep="\n", end="\n" if over else "", file=sys.stderr)
    return 1 if over else 0


def summary(row: Mapping[str, Any]) -> str:
    """Return one line for the screen."""
    values = []
    for kind, value in row["ratios"].items():
        if isinstance(value, float):
            values.append(f"{kind} {value:.3f}")
            continue
        processor, wall = value["processor"], value["wall"]
        values.append(
            f"{kind} {processor['median']:.3f} [{processor['low']:.3f}, {processor['high']:.3f}], "
            f"wall {wall['median']:.3f} [{wall['low']:.3f}, {wall['high']:.3f}]"
        )
    others = f"; other processes {row['others']:.0%} of the machine" if "others" in row else ""
    return f"{row['model']}: {'; '.join(values)}{others}"


if __name__ == "__main__":
    sys.exit(main())
