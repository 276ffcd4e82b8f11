"""Train a network in steps between which it can be measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from gradlens.models.sgd import Batch, recent_loss, sgd
from gradlens.studies.objects import NO_SUPPLY, Supply
from gradlens.studies.options import Training

__all__ = ["Score", "Training", "score", "train"]


class Score(NamedTuple):
    """Mean cross entropy and accuracy on held-out samples."""

    loss: float
    accuracy: float


class Step(NamedTuple):
    """Number of finished steps, and the mean training loss of the last few of them (NaN at the start)."""

    done: int
    loss: float


def train(
    model: nn.Module, batches: Sequence[Batch], training: Training, seed: int, supply: Supply = NO_SUPPLY
) -> Iterator[Step]:
    """Train a network, and yield the finished steps with their loss: at the start, then after each step.

    Each epoch visits the batches in a new order, which the seed determines. The model is in train mode during a
    step, and ``.grad`` is empty between steps. ``supply`` has the step or the loss of the caller.

    Raises:
        GradlensError: the loss is not finite.
    """
    yield Step(0, math.nan)
    losses = sgd(
        model,
        (batches[index] for index in _order(len(batches), seed)),
        map(training.rate, range(training.steps)),
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        loss=supply.loss,
        step=supply.step,
    )
    taken: list[float] = []
    for done, loss in enumerate(losses, start=1):
        taken.append(loss)
        yield Step(done, recent_loss(taken))


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
