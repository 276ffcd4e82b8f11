"""Compare the cost of a captured and of a plain training step.

``python -m benchmarks.overhead`` alternates plain and captured steps and prints the median of the ratios of time;
``--memory`` instead compares the medians of peak memory in separate processes (Linux only). Prints JSON.

Peak memory is measured with a fixed threshold of 1 MiB from which glibc returns blocks to the system. By default
glibc adapts the threshold to earlier frees: the peak of a plain step then varies by 6 % between processes and is
twice what its tensors need; ``--allocator default`` measures this.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

import gradlens as gl
from gradlens.hooks.watcher import Watcher
from gradlens.recording.watch import Watch

ALLOCATORS = {"steady": {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}, "default": {}}
MODELS = ("resnet50", "cspresnet50", "densenet121")


def pair(
    name: str, sites: str, batch: int, size: int, space: str = "activations"
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a plain and a captured step of one model on one batch."""
    model = gl.load_model(name, num_classes=10, seed=0)
    images, targets = gl.load_data("random", batch_size=batch, batches=1, image_size=size)[0]
    parameters = list(model.parameters())

    def plain() -> None:
        loss = functional.cross_entropy(model(images), targets)
        torch.autograd.grad(loss, parameters, allow_unused=True)

    watcher = Watcher(model, Watch(sites=sites, space=space))

    state, _ = watcher.first((images, targets))

    def captured() -> None:
        watcher.next(state, 0, (images, targets))

    return plain, captured


def ratio(name: str, sites: str, options: argparse.Namespace) -> dict[str, float]:
    """Return the median ratio of alternating pairs of steps, and its range."""
    plain, captured = pair(name, sites, options.batch, options.size, options.space)
    plain()
    captured()
    ratios, seconds = [], []
    for number in range(options.pairs):
        first, second = (plain, captured) if number % 2 == 0 else (captured, plain)
        times = {first: clock(first), second: clock(second)}
        ratios.append(times[captured] / times[plain])
        seconds.append(times[plain])
    return {
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "plain_seconds": statistics.median(seconds),
    }


def clock(run: Callable[[], None]) -> float:
    """Return the seconds of one run."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def peak(name: str, sites: str, options: argparse.Namespace) -> int:
    """Return the peak resident bytes of this process after a few steps; ``sites`` may be ``plain``.

    The value is VmHWM of this process: ``getrusage`` includes the resident memory of the parent at the fork, and
    then all processes seem to need the same.
    """
    plain, captured = pair(
        name, "signals" if sites == "plain" else sites, options.batch, options.size, options.space
    )
    for _ in range(4):
        (plain if sites == "plain" else captured)()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def peaks(name: str, kinds: list[str], options: argparse.Namespace) -> dict[str, list[int]]:
    """Return the peak bytes of plain and captured steps, alternating, each in its own process."""
    values: dict[str, list[int]] = {kind: [] for kind in kinds}
    environment = {**os.environ, **ALLOCATORS[options.allocator]}
    for _ in range(options.pairs):
        for kind in kinds:
            command = [sys.executable, "-m", "benchmarks.overhead", "--peak", kind, "--models", name]
            command += ["--batch", str(options.batch), "--size", str(options.size), "--space", options.space]
            process = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            values[kind].append(json.loads(process.stdout))
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--sites", default="signals,all")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--space", choices=("activations", "weights"), default="activations")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--allocator", choices=ALLOCATORS, default="steady", help="for --memory")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(json.dumps(peak(options.models, options.peak, options)))
        return
    rows: list[dict[str, object]] = []
    kinds = options.sites.split(",")
    for name in options.models.split(","):
        if options.memory:
            values = peaks(name, ["plain", *kinds], options)
            medians = {kind: statistics.median(samples) for kind, samples in values.items()}
            measured = [{"memory": medians[kind] / medians["plain"], "bytes": values} for kind in kinds]
        else:
            measured = [ratio(name, kind, options) for kind in kinds]
        rows += [{"model": name, "sites": kind, **row} for kind, row in zip(kinds, measured, strict=True)]
        print(*rows[-len(kinds) :], sep="\n", file=sys.stderr, flush=True)
    environment = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "batch": options.batch,
        "size": options.size,
        "pairs": options.pairs,
        "space": options.space,
        **({"allocator": options.allocator} if options.memory else {}),
    }
    print(json.dumps({"environment": environment, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
