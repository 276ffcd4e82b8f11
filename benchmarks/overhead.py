"""What capturing costs against a plain training step.

``python -m benchmarks.overhead`` alternates a plain and a captured step and prints the median of the
pairs' ratios; ``--memory`` compares the medians of peak memory in separate processes instead (Linux).
JSON on stdout.

Peak memory is measured with glibc's threshold for handing blocks back to the system held at 1 MiB.
By default that threshold adapts to what was freed before, and a plain step alone then varies by 6 %
from process to process (it holds twice what its tensors need); ``--allocator default`` shows that.
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
    """A plain and a captured step of one model on one batch."""
    model = gl.load_model(name, num_classes=10, seed=0, zero_init=False)
    images, targets = gl.load_data("random", batch_size=batch, batches=1, image_size=size)[0]
    parameters = list(model.parameters())

    def plain() -> None:
        loss = functional.cross_entropy(model(images), targets)
        torch.autograd.grad(loss, parameters, allow_unused=True)

    watcher = Watcher(model, Watch(sites=sites, space=space))

    def captured() -> None:
        watcher.batch(0, (images, targets))

    return plain, captured


def ratio(name: str, sites: str, options: argparse.Namespace) -> dict[str, float]:
    """Median ratio of alternating pairs and its range."""
    plain, captured = pair(name, sites, options.batch, options.size, options.space)
    plain()
    captured()  # plans the sites and runs the dry pass
    ratios, seconds = [], []
    for place in range(options.pairs):
        first, second = (plain, captured) if place % 2 == 0 else (captured, plain)
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
    """Seconds of one run."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def peak(name: str, sites: str, options: argparse.Namespace) -> int:
    """Peak resident bytes of this process after a few steps; ``sites`` may be ``plain``.

    Read from the kernel's account of this process image: ``getrusage`` also counts what the parent
    had resident when it forked, and then every process seems to need the same.
    """
    plain, captured = pair(
        name, "signals" if sites == "plain" else sites, options.batch, options.size, options.space
    )
    for _ in range(4):
        (plain if sites == "plain" else captured)()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def peaks(name: str, kinds: list[str], options: argparse.Namespace) -> dict[str, list[int]]:
    """Peak memory of plain and captured steps in bytes, alternating, each in its own process."""
    found: dict[str, list[int]] = {kind: [] for kind in kinds}
    environment = {**os.environ, **ALLOCATORS[options.allocator]}
    for _ in range(options.pairs):
        for kind in kinds:
            command = [sys.executable, "-m", "benchmarks.overhead", "--peak", kind, "--models", name]
            command += ["--batch", str(options.batch), "--size", str(options.size), "--space", options.space]
            answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            found[kind].append(json.loads(answer.stdout))
    return found


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
            found = peaks(name, ["plain", *kinds], options)
            middle = {kind: statistics.median(values) for kind, values in found.items()}
            measured = [{"memory": middle[kind] / middle["plain"], "bytes": found} for kind in kinds]
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
