"""A short training run with measurements along it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from gradlens.errors import GradlensError
from gradlens.models.sgd import Batch, sgd

SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Training:
    """How a network is trained between two measurements.

    Attributes:
        steps: number of updates; 0 measures the fresh network only.
        lr: learning rate of the first step.
        momentum: of SGD.
        weight_decay: of SGD.
        schedule: ``cosine`` to 0 at the last step (Loshchilov & Hutter 2017), or ``constant``.
        snapshots: measurements after the first, evenly over the steps.
        evaluate: also measure loss and accuracy on held-out samples.
    """

    steps: int = 0
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    snapshots: int = 4
    evaluate: bool = False

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise GradlensError(f"schedule={self.schedule!r} is not known; use one of {', '.join(SCHEDULES)}")
        for name, low, high in (
            ("steps", 0, math.inf),
            ("lr", 0, math.inf),
            ("momentum", 0, 1),
            ("weight_decay", 0, math.inf),
            ("snapshots", 1, math.inf),
        ):
            if not low <= getattr(self, name) <= high:
                raise GradlensError(f"{name} is {getattr(self, name)}; it must be from {low} to {high}")
        if self.evaluate and not self.steps:
            raise GradlensError(
                "held-out accuracy of an untrained network has no meaning; give a training as well, such as steps=200"
            )

    def stops(self) -> list[int]:
        """Steps after which the network is measured, 0 and the last included."""
        return sorted({round(self.steps * index / self.snapshots) for index in range(self.snapshots + 1)})

    def rate(self, step: int) -> float:
        """Learning rate of a step; the first step is 0."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * (1 + math.cos(math.pi * step / self.steps)) / 2


class Score(NamedTuple):
    """Mean cross entropy and accuracy on held-out samples."""

    loss: float
    accuracy: float


def train(model: nn.Module, batches: Sequence[Batch], training: Training, seed: int) -> Iterator[int]:
    """Train, and yield the number of steps done before the first and after each.

    Each epoch visits the batches in a new order, which the seed determines. The model is in train mode during a
    step, and ``.grad`` is empty between steps.

    Raises:
        GradlensError: the loss is not finite.
    """
    yield 0
    steps = sgd(
        model,
        (batches[index] for index in _order(len(batches), seed)),
        map(training.rate, range(training.steps)),
        momentum=training.momentum,
        weight_decay=training.weight_decay,
    )
    for done, _ in enumerate(steps, start=1):
        yield done


def score(model: nn.Module, batches: Sequence[Batch]) -> Score:
    """Return loss and accuracy in eval mode; the model's mode is restored."""
    mode = model.training
    model.eval()
    losses, correct, total = 0.0, 0, 0
    try:
        with torch.no_grad():
            for images, targets in batches:
                output = model(images)
                losses += float(functional.cross_entropy(output, targets, reduction="sum"))
                correct += int((output.argmax(dim=1) == targets).sum())
                total += len(targets)
    finally:
        model.train(mode)
    return Score(losses / total, correct / total)


def _order(count: int, seed: int) -> Iterator[int]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from map(int, torch.randperm(count, generator=generator))
