"""Train a network in steps between which it can be measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn

from gradlens.models.sgd import Batch, Loss, recent_loss, sgd
from gradlens.models.sgd import Step as LossStep
from gradlens.studies.options import Training

__all__ = ["Training", "train"]


class Step(NamedTuple):
    """Number of finished steps, and the mean training loss of the last few of them (NaN at the start)."""

    done: int
    loss: float


def train(
    model: nn.Module,
    batches: Sequence[Batch],
    training: Training,
    seed: int,
    *,
    loss: Loss | None = None,
    step: LossStep | None = None,
) -> Iterator[Step]:
    """Train a network, and yield the finished steps with their loss: at the start, then after each step.

    Each epoch visits the batches in a new order, which the seed determines. The model is in train mode during a
    step, and ``.grad`` is empty between steps. ``loss`` and ``step`` are as in ``sgd``.

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
        loss=loss,
        step=step,
    )
    taken: list[float] = []
    for done, value in enumerate(losses, start=1):
        taken.append(value)
        yield Step(done, recent_loss(taken))


def _order(count: int, seed: int) -> Iterator[int]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from map(int, torch.randperm(count, generator=generator))
