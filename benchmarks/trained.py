"""Train networks while gradlens watches them: ``python -m benchmarks.trained RESULTS.json``.

resnet50 and cspresnet50 at 64 pixels, and a small DenseNet under each transition strategy at 32 pixels: 300 steps of
SGD on scikit-learn's digits, with the same batches for all networks of a seed. Every tenth step is measured, and every
50th is scored on digits that are held out. Trainings that the file has already are not repeated, so that a run that was
stopped continues.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from benchmarks.measuring import environment
from gradlens.catalogue.transitions import DEFAULT
from gradlens.randomness import seeded
from gradlens.watching.rows import Row

STEPS, EVERY, SCORED, SEEDS = 301, 10, 50, 3
BATCH, BATCHES, HELD_OUT = 16, 80, 30
"""Samples of a batch, batches of the training, and batches behind them that are held out."""
RATE, MOMENTUM = 0.01, 0.9
WHOLE = "whole"


class Network(NamedTuple):
    """A network of the study.

    Attributes:
        make: returns it with the weights of a seed.
        size: side of the images in pixels.
        group: networks of a group are compared with the first one.
    """

    make: Callable[[int], nn.Module]
    size: int
    group: str


def named(name: str) -> Network:
    """Return a network of timm."""
    return Network(lambda seed: gl.load_model(name, num_classes=10, image_size=64, seed=seed), 64, "resnet50")


def dense(strategy: str) -> Network:
    """Return a DenseNet of three blocks with four layers each, under a transition strategy."""

    def make(seed: int) -> nn.Module:
        with seeded(seed):
            model = timm.create_model("densenet121", num_classes=10, growth_rate=12, block_config=(4, 4, 4))
        return gl.cspify(model, strategy, image_size=32, seed=seed)

    return Network(make, 32, "densenet")


NETWORKS = {
    "resnet50": named("resnet50"),
    "cspresnet50": named("cspresnet50"),
    **{f"small DenseNet, {strategy}": dense(strategy) for strategy in DEFAULT},
}
"""The networks by name."""


def trained(network: Network, seed: int) -> list[dict[str, float]]:
    """Train a network, and return the numbers of each measured step."""
    torch.manual_seed(seed)
    model = network.make(seed)
    data, held_out = (
        list(
            gl.load_data(
                "digits", batch_size=BATCH, batches=count, image_size=network.size, seed=seed, start=start
            )
        )
        for count, start in ((BATCHES, 0), (HELD_OUT, BATCHES))
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    steps: list[dict[str, float]] = []
    with gl.watch(model, every=EVERY, quiet=True) as watching:
        for step, (images, targets) in enumerate(itertools.islice(itertools.cycle(data), STEPS)):
            measured = step % EVERY == 0
            accuracy = {"accuracy": scored(model, held_out)} if step % SCORED == 0 else {}
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images), targets)
            loss.backward()
            if measured:
                rows = [row for row in watching.rows if row.step == step]
                steps.append({"step": step, "loss": loss.item(), **accuracy, **numbers(rows)})
            optimizer.step()
    return steps


def scored(model: nn.Module, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Return the held-out accuracy, in eval mode."""
    model.eval()
    with torch.no_grad():
        right = [float((model(images).argmax(1) == targets).float().mean()) for images, targets in batches]
    model.train()
    return statistics.fmean(right)


def numbers(rows: Sequence[Row]) -> dict[str, float]:
    """Return duplication of the network, mean coherence of its forks, and the mean share of their smaller branch."""
    values = {row.quantity: row.value for row in rows if row.stage == WHOLE and not row.place}
    shares: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.quantity == "share":
            shares[row.place].append(row.value)
    kept = ("duplication", "duplication_given_loss", "mean_similarity")
    return {
        **{name: values[name] for name in kept if name in values},
        "coherence": statistics.fmean(row.value for row in rows if row.quantity == "coherence"),
        "smallest_share": statistics.fmean(map(min, shares.values())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="receives the numbers; what it has is not measured again")
    file = parser.parse_args().file
    document = json.loads(file.read_text()) if file.exists() else {"runs": {}}
    document["environment"] = environment()
    torch.set_num_threads(1)
    for seed, (name, network) in itertools.product(range(SEEDS), reversed(NETWORKS.items())):
        key = f"{name}, seed {seed}"
        if key not in document["runs"]:
            document["runs"][key] = trained(network, seed)
            file.write_text(json.dumps(document, indent=1) + "\n")
            print(key, document["runs"][key][-1], flush=True)


if __name__ == "__main__":
    main()
