"""A few steps of training before anything is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.errors import GradlensError

Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


def warm_up(
    model: nn.Module,
    batches: Sequence[Batch],
    *,
    steps: int,
    lr: float = 0.01,
    momentum: float = 0.9,
    loss: Loss | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[float]:
    """Train ``model`` with plain SGD on ``batches``, over and over, and return the loss of each step.

    The model is left in train mode without gradients. Dropout draws from the global random state.

    Args:
        model: any module that takes the images and returns logits ``[n, classes]``.
        batches: pairs of images ``[n, c, h, w]`` and targets ``[n]``.
        steps: how many updates; 0 changes nothing.
        lr: learning rate.
        momentum: of SGD.
        loss: of output and target; cross entropy when None.
        progress: called with the number of steps done, after each.

    Raises:
        GradlensError: ``steps`` is negative, there are no batches, or the loss is not finite.
    """
    if steps < 0:
        raise GradlensError(f"warm-up steps are {steps}; they must be 0 or more")
    if steps and not len(batches):
        raise GradlensError("there are no batches to warm up with; give at least one")
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    criterion: Loss = loss or functional.cross_entropy
    losses: list[float] = []
    try:
        for step in range(steps):
            images, targets = batches[step % len(batches)]
            optimizer.zero_grad(set_to_none=True)
            value = criterion(model(images), targets)
            losses.append(_finite(value, step, lr))
            value.backward()
            optimizer.step()
            if progress is not None:
                progress(step + 1)
    finally:
        optimizer.zero_grad(set_to_none=True)
    return losses


def _finite(value: Tensor, step: int, lr: float) -> float:
    number = float(value.detach())
    if not math.isfinite(number):
        raise GradlensError(
            f"the loss is {number} at warm-up step {step + 1} (learning rate {lr:g}); use a lower learning rate,"
            " fewer steps, or look for NaN in the data and weights"
        )
    return number
