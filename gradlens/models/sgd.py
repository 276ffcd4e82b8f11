"""Stochastic gradient descent, for warm-up and training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.errors import GradlensError

RECENT = 5
"""Number of steps over which a training loss is averaged."""
Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[nn.Module, Any], Tensor | Mapping[str, Tensor]]
"""Returns the loss, or several losses by name, whose sum is the loss."""


def recent_loss(losses: Sequence[float]) -> float:
    """Return the mean loss of the last ``RECENT`` steps, or of all if there are fewer."""
    return statistics.fmean(losses[-RECENT:])


def total(losses: Tensor | Mapping[str, Tensor]) -> Tensor:
    """Return a loss, or the sum of several losses.

    >>> total({"classes": torch.tensor(1.0), "boxes": torch.tensor(2.0)})
    tensor(3.)

    Raises:
        GradlensError: there is no loss.
    """
    if not isinstance(losses, Mapping):
        return losses
    if not losses:
        raise GradlensError("the step returns an empty mapping; it must have at least one loss")
    return torch.stack([loss.reshape(()) for loss in losses.values()]).sum()


def sgd(
    model: nn.Module,
    batches: Iterable[Batch],
    rates: Iterable[float],
    *,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    loss: Loss | None = None,
    step: Step | None = None,
    name: str = "training",
) -> Iterator[float]:
    """Take one step per learning rate, and yield the loss of each.

    The model is in train mode during a step and has no gradients after it.

    Args:
        model: takes images ``[n, c, h, w]`` and returns logits ``[n, classes]``.
        batches: pairs of images and targets ``[n]``, at least as many as rates.
        rates: learning rate of each step.
        momentum: momentum of SGD.
        weight_decay: weight decay of SGD.
        loss: function of output and target; None means cross entropy.
        step: function of model and batch that returns the loss, or losses by name that are summed, instead of
            ``loss``.
        name: name of the steps in the error message.

    Raises:
        GradlensError: a loss is not finite.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=momentum, weight_decay=weight_decay)
    loss_of = step or _supervised(loss or functional.cross_entropy)
    for number, (rate, batch) in enumerate(zip(rates, batches, strict=False), start=1):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        try:
            value = total(loss_of(model, batch))
            finite = _finite(value, f"{name} step {number} (learning rate {rate:g})")
            value.backward()
            optimizer.step()
        finally:
            optimizer.zero_grad(set_to_none=True)
        yield finite


def _supervised(loss: Loss) -> Step:
    def step(model: nn.Module, batch: Batch) -> Tensor:
        images, targets = batch
        return loss(model(images), targets)

    return step


def _finite(value: Tensor, step: str) -> float:
    number = float(value.detach())
    if not math.isfinite(number):
        raise GradlensError(
            f"the loss is {number} at {step}; use a lower learning rate, fewer steps, or check the data and weights"
            " for NaN"
        )
    return number
