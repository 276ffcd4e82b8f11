"""Train networks while gradlens watches them: ``python -m benchmarks.trained RESULTS.json``.

resnet50, cspresnet50, and a small DenseNet under each transition strategy: 300 steps of SGD on scikit-learn's digits at
32 pixels, with the same batches for all networks of a seed. Every tenth step is measured, and every
50th is scored on digits that are held out. Trainings that the file has already are not repeated, so that a run that was
stopped continues.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from benchmarks.measuring import environment
from benchmarks.performance_words import table
from gradlens.analyzers.duplication import Duplication
from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue.transitions import DEFAULT
from gradlens.catalogue.versions import DIRECTION, ENERGY, ENERGY_GIVEN_LOSS, VERSIONS
from gradlens.randomness import seeded
from gradlens.watching.rows import Row

STEPS, EVERY, SCORED, SEEDS = 301, 10, 50, 3
BATCH, BATCHES, HELD_OUT = 16, 80, 30
"""Samples of a batch, batches of the training, and batches behind them that are held out."""
SIZE, RATE, MOMENTUM = 32, 0.01, 0.9
Window = tuple[int, int]
WINDOWS: tuple[Window, ...] = ((0, 0), (10, 50), (60, 150), (160, 300))
"""First and last step of the parts of a training over which measured steps are averaged."""
QUANTITIES = {
    f"D {ENERGY.label}": "D_m",
    f"D {ENERGY_GIVEN_LOSS.label}": "D_m given the loss",
    f"D {DIRECTION.label}": "D_m of directions",
    "mean_similarity": "mean similarity",
    "coherence": "coherence",
    "smallest_share": "smaller share",
    "loss": "training loss",
    "accuracy": "held-out accuracy",
}
"""Numbers of the tables, with their headings."""


class Network(NamedTuple):
    """A network of the study.

    Attributes:
        make: returns it with the weights of a seed.
        group: networks of a group are compared with the first one.
        m: number of signals at which the duplication of a group is compared.
    """

    make: Callable[[int], nn.Module]
    group: str
    m: int


def named(name: str) -> Network:
    """Return a network of timm."""
    make = lambda seed: gl.load_model(name, num_classes=10, image_size=SIZE, seed=seed)  # noqa: E731
    return Network(make, "resnet50", 48)


def dense(strategy: str) -> Network:
    """Return a DenseNet of three blocks with four layers each, under a transition strategy."""

    def make(seed: int) -> nn.Module:
        with seeded(seed):
            model = timm.create_model("densenet121", num_classes=10, growth_rate=12, block_config=(4, 4, 4))
        return gl.cspify(model, strategy, image_size=SIZE, seed=seed)

    return Network(make, "densenet", 24)


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
        list(gl.load_data("digits", batch_size=BATCH, batches=count, image_size=SIZE, seed=seed, start=start))
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
                steps.append(
                    {
                        "step": step,
                        "loss": loss.item(),
                        **accuracy,
                        **numbers(rows, watching.history[-1][1], network.m),
                    }
                )
            optimizer.step()
    return steps


def scored(model: nn.Module, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Return the held-out accuracy, in eval mode."""
    model.eval()
    with torch.no_grad():
        right = [float((model(images).argmax(1) == targets).float().mean()) for images, targets in batches]
    model.train()
    return statistics.fmean(right)


def numbers(rows: Sequence[Row], recording: gl.Recording, m: int) -> dict[str, float]:
    """Return duplication of the network, mean coherence of its forks, and the mean share of their smaller branch.

    Args:
        rows: of a step.
        recording: of the same step.
        m: number of signals at which duplication is measured.
    """
    sizes = dict.fromkeys(((WHOLE, version.label) for version in VERSIONS), m)
    table = Duplication(sizes=sizes).values(recording).set_index(["stage", "version"]).loc[WHOLE]
    shares: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.quantity == "share":
            shares[row.place].append(row.value)
    return {
        **{
            f"D {version.label}": float(table.loc[version.label, "rarefied_duplication"])
            for version in VERSIONS
        },
        "mean_similarity": float(table.loc[ENERGY.label, "mean_similarity"]),
        "coherence": statistics.fmean(row.value for row in rows if row.quantity == "coherence"),
        "smallest_share": statistics.fmean(map(min, shares.values())),
    }


def windowed(
    runs: Mapping[str, Sequence[Mapping[str, float]]], name: str, quantity: str, window: Window
) -> list[float]:
    """Return the mean of a quantity over the measured steps of a window, by seed."""
    values = []
    for seed in range(SEEDS):
        rows = [row for row in runs[f"{name}, seed {seed}"] if window[0] <= row["step"] <= window[1]]
        values.append(statistics.fmean(row[quantity] for row in rows if quantity in row))
    return values


def tables(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables of docs/findings.md: means over seeds, and differences from the first network of each group."""
    runs = document["runs"]
    head = [
        "network",
        "quantity",
        *(f"step {low}" if low == high else f"{low} to {high}" for low, high in WINDOWS),
    ]
    groups: dict[str, list[str]] = defaultdict(list)
    for name, network in NETWORKS.items():
        groups[network.group].append(name)
    for names in groups.values():
        for first, others in ((None, names), (names[0], names[1:])):
            lines = []
            for name in others:
                for quantity, words in QUANTITIES.items():
                    values = [windowed(runs, name, quantity, window) for window in WINDOWS]
                    base = (
                        None if first is None else [windowed(runs, first, quantity, each) for each in WINDOWS]
                    )
                    cells = [
                        interval(
                            value
                            if base is None
                            else [a - b for a, b in zip(value, base[index], strict=True)]
                        )
                        for index, value in enumerate(values)
                    ]
                    title = name if first is None else f"{name} − {first}"
                    lines.append([title, words, *(written(each, first is not None) for each in cells)])
            yield "\n".join(table(head, lines))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and the half-width of its 95 % interval (Student's t)."""
    n = len(values)
    spread = statistics.stdev(values) / n**0.5
    return statistics.fmean(values), float(stats.t.ppf(0.975, n - 1)) * spread


def written(value: tuple[float, float], difference: bool) -> str:
    """Return a mean with its half-width; a difference whose interval leaves out 0 is bold."""
    mean, half = value
    text = f"{mean:{'+' if difference else ''}.2f} ± {half:.2f}".replace("-", "−")
    return f"**{text}**" if difference and abs(mean) > half else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="receives the numbers; what it has is not measured again")
    parser.add_argument("--tables", action="store_true", help="print the tables of docs/findings.md")
    options = parser.parse_args()
    file = options.file
    document = json.loads(file.read_text()) if file.exists() else {"runs": {}}
    if options.tables:
        print("\n\n".join(tables(document)))
        return
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
