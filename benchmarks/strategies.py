"""Measure the training speed of all transition strategies: ``python -m benchmarks.strategies``.

The strategies of a network alternate in each round, so that load of the machine affects all of them equally. The
speed is the median over rounds, and its ratio to ``none`` is the median of the ratios by round. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional

import gradlens as gl
from gradlens.catalogue.transitions import DEFAULT

MODELS = ("resnet50", "resnext50_32x4d", "densenet121", "darknet53", "peleenet")


def step(name: str, batch: int, size: int) -> Callable[[], None]:
    """Return a function that runs one forward and backward pass of a network on one batch."""
    model = gl.load_model(name, num_classes=1000, seed=0)
    images, targets = gl.load_data("random", batch_size=batch, batches=1, image_size=size)[0]
    parameters = list(model.parameters())

    def run() -> None:
        torch.autograd.grad(functional.cross_entropy(model(images), targets), parameters)

    return run


def rows(model: str, batch: int, size: int, rounds: int) -> list[dict[str, object]]:
    """Return one row per strategy: images per second, and the ratio to ``none``."""
    steps = {name: step(f"{model}@{name}", batch, size) for name in DEFAULT}
    speeds: dict[str, list[float]] = {name: [] for name in DEFAULT}
    for number in range(rounds + 1):
        for name, run in steps.items():
            begin = time.perf_counter()
            run()
            if number > 0:  # the first round is a warm-up
                speeds[name].append(batch / (time.perf_counter() - begin))
    return [
        {
            "model": model,
            "strategy": name,
            "images_per_second": statistics.median(values),
            "ratio": statistics.median(a / b for a, b in zip(values, speeds["none"], strict=True)),
        }
        for name, values in speeds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    results: list[dict[str, object]] = []
    for model in options.models.split(","):
        results += rows(model, options.batch, options.size, options.rounds)
        print(*results[-len(DEFAULT) :], sep="\n", file=sys.stderr, flush=True)
    environment = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        **vars(options),
    }
    print(json.dumps({"environment": environment, "rows": results}, indent=2))


if __name__ == "__main__":
    main()
