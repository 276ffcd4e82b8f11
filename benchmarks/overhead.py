"""What capturing costs against a plain training step.

``python -m benchmarks.overhead`` alternates a plain and a captured step and prints the median of the
pairs' ratios; ``--memory`` compares peak memory in separate processes. JSON on stdout.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional

import gradlens as gl
from gradlens.grams.capturing import Watcher

MODELS = ("resnet50", "cspresnet50", "densenet121")


def pair(name: str, sites: str, batch: int, size: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """A plain and a captured step of one model on one batch."""
    model = gl.load_model(name, num_classes=10, seed=0, zero_init=False)
    images, targets = gl.load_data("random", batch_size=batch, batches=1, image_size=size)[0]
    parameters = list(model.parameters())

    def plain() -> None:
        loss = functional.cross_entropy(model(images), targets)
        torch.autograd.grad(loss, parameters, allow_unused=True)

    watcher = Watcher(model, sites=sites)

    def captured() -> None:
        watcher.batch(0, (images, targets))

    return plain, captured


def ratio(name: str, sites: str, batch: int, size: int, pairs: int) -> dict[str, float]:
    """Median ratio of alternating pairs and its range."""
    plain, captured = pair(name, sites, batch, size)
    plain()
    captured()  # plans the sites and runs the dry pass
    ratios, seconds = [], []
    for place in range(pairs):
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


def peak(name: str, sites: str, batch: int, size: int) -> int:
    """Peak resident bytes of this process after a few steps; ``sites`` may be ``plain``."""
    plain, captured = pair(name, "signals" if sites == "plain" else sites, batch, size)
    for _ in range(4):
        (plain if sites == "plain" else captured)()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory(name: str, sites: str, batch: int, size: int) -> float:
    """Peak memory of captured steps over that of plain ones, each in its own process."""
    found = {}
    for kind in ("plain", sites):
        command = [sys.executable, "-m", "benchmarks.overhead", "--peak", kind, "--models", name]
        command += ["--batch", str(batch), "--size", str(size)]
        found[kind] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found[sites] / found["plain"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--sites", default="signals,all")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(json.dumps(peak(options.models, options.peak, options.batch, options.size)))
        return
    rows = []
    for name in options.models.split(","):
        for sites in options.sites.split(","):
            row: dict[str, object] = {"model": name, "sites": sites}
            row |= ratio(name, sites, options.batch, options.size, options.pairs)
            if options.memory:
                row["memory"] = memory(name, sites, options.batch, options.size)
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    environment = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "batch": options.batch,
        "size": options.size,
        "pairs": options.pairs,
    }
    print(json.dumps({"environment": environment, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
