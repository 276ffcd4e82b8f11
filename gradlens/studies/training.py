"""A short training run that is measured on its way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.errors import GradlensError

Batch = tuple[Tensor, Tensor]
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Training:
    """How a network is trained between two measurements.

    Attributes:
        steps: updates in all; 0 measures the fresh network only.
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
                "held-out accuracy of an untrained network says nothing; give --train-steps too"
            )

    def stops(self) -> list[int]:
        """Steps after which the network is measured, 0 and the last among them."""
        return sorted({round(self.steps * place / self.snapshots) for place in range(self.snapshots + 1)})

    def rate(self, step: int) -> float:
        """Learning rate of a step, the first being 0."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * (1 + math.cos(math.pi * step / self.steps)) / 2


class Score(NamedTuple):
    """Mean cross entropy and share of right answers on held-out samples."""

    loss: float
    accuracy: float


def train(model: nn.Module, batches: Sequence[Batch], training: Training, seed: int) -> Iterator[int]:
    """Train, and yield the number of steps done before the first and after each.

    The order of the batches is shuffled anew in each round, by the seed; the model is in train
    mode while a step is taken, and whoever asks for the next step finds ``.grad`` empty.

    Raises:
        GradlensError: the loss is not finite.
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=training.lr, momentum=training.momentum, weight_decay=training.weight_decay
    )
    order = _order(len(batches), seed)
    yield 0
    for step in range(training.steps):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = training.rate(step)
        images, targets = batches[next(order)]
        loss = functional.cross_entropy(model(images), targets)
        value = loss.item()
        if not math.isfinite(value):
            raise GradlensError(
                f"the loss is {value} at training step {step + 1} (learning rate {training.lr:g}); use a "
                "lower --lr"
            )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield step + 1


def score(model: nn.Module, batches: Sequence[Batch]) -> Score:
    """Loss and accuracy in eval mode; the model's mode is put back."""
    mode = model.training
    model.eval()
    losses, right, total = 0.0, 0, 0
    try:
        with torch.no_grad():
            for images, targets in batches:
                output = model(images)
                losses += float(functional.cross_entropy(output, targets, reduction="sum"))
                right += int((output.argmax(dim=1) == targets).sum())
                total += len(targets)
    finally:
        model.train(mode)
    return Score(losses / total, right / total)


def _order(count: int, seed: int) -> Iterator[int]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from map(int, torch.randperm(count, generator=generator))
