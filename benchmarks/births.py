"""What it costs to find where a training broke, beside the anomaly mode of PyTorch.

``python -m benchmarks.births`` prints JSON: ratios to a plain step, in alternating rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from benchmarks.measuring import Seconds, environment, load, medians, ratios, rounds, seconds
from benchmarks.overhead import PLAIN

ANOMALY, WATCHED, SEARCH = "anomaly mode", "watched", "watched, broken"


class Breaking(nn.Module):
    """A network whose gradient is not finite in one sample while ``broken`` is set."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.broken = net, False

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits; the root of zero that is added has no finite derivative."""
        logits = self.net(images)
        kept = (torch.arange(len(logits)) != 1).to(logits)[:, None]
        return logits + (logits * kept).abs().sqrt() if self.broken else logits


def measure(model: str, batch: int, size: int, pairs: int) -> dict[str, object]:
    """Return the ratios of a step in anomaly mode, of a watched one, and of a watched one that breaks."""
    images, labels = gl.load_data("random", batch_size=batch, batches=1, image_size=size)[0]
    usual, broken = (
        Breaking(gl.load_model(model, num_classes=10, image_size=size, seed=0)) for _ in range(2)
    )

    def step(network: nn.Module) -> None:
        functional.cross_entropy(network(images), labels).backward()
        network.zero_grad()

    def anomaly() -> None:
        with torch.autograd.set_detect_anomaly(True):
            step(usual)

    def search() -> None:
        broken.broken = True
        step(broken)

    def measured(run: Callable[[], None]) -> Seconds:
        broken.broken = False
        if run is search:
            step(broken)  # so that the next one is the first that breaks
        return seconds(run)

    steps = {PLAIN: lambda: step(usual), ANOMALY: anomaly, WATCHED: lambda: step(broken), SEARCH: search}
    with warnings.catch_warnings(), gl.watch(broken, every=1) as watching, load() as busy:
        warnings.simplefilter("ignore")  # of the anomaly mode
        for run in steps.values():
            measured(run)
        times = rounds(steps, PLAIN, dict.fromkeys(steps, pairs), measured)
    sites = sorted({birth.site for birth in watching.births.values()})
    return {
        "model": model,
        "batch": batch,
        "size": size,
        "plain": medians(times[PLAIN]),
        "ratios": {name: ratios(times[name], times[PLAIN]) for name in steps if name != PLAIN},
        "found": sites,
        "others": busy["others"],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    row = measure(options.model, options.batch, options.size, options.pairs)
    print(json.dumps({"environment": environment(), **row}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
