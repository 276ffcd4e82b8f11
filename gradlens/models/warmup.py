"""A few training steps before anything is measured."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from torch import nn

from gradlens.errors import GradlensError
from gradlens.models.sgd import RECENT, Batch, Loss, Step, recent_loss, sgd


def warm_up(
    model: nn.Module,
    batches: Sequence[Batch],
    *,
    steps: int,
    lr: float = 0.01,
    momentum: float = 0.9,
    loss: Loss | None = None,
    step: Step | None = None,
    until: float = 0.0,
    progress: Callable[[int], object] | None = None,
) -> list[float]:
    """Train ``model`` with SGD, cycling through ``batches``, and return the loss of each step.

    The model is left in train mode without gradients. Dropout draws from the global random state.

    Args:
        model: any module that takes the images and returns logits ``[n, classes]``.
        batches: pairs of images ``[n, c, h, w]`` and targets ``[n]``, or what ``step`` takes.
        steps: number of updates; 0 changes nothing.
        lr: learning rate.
        momentum: momentum of SGD.
        loss: function of output and target; None means cross entropy.
        step: function of model and batch that returns the loss, instead of ``loss``.
        until: end when the mean loss of the last ``RECENT`` steps is at most this; 0 takes all steps.
        progress: called after each step with the number of steps done.

    Raises:
        GradlensError: ``steps`` is negative, there are no batches, or the loss is not finite.
    """
    if steps < 0:
        raise GradlensError(f"warm-up steps are {steps}; they must be 0 or more")
    if steps and not len(batches):
        raise GradlensError("there are no batches to warm up with; give at least one")
    model.train()
    rates = itertools.repeat(lr, steps)
    losses: list[float] = []
    updates = sgd(
        model, itertools.cycle(batches), rates, momentum=momentum, loss=loss, step=step, name="warm-up"
    )
    for value in updates:
        losses.append(value)
        if progress is not None:
            progress(len(losses))
        if until and len(losses) >= RECENT and recent_loss(losses) <= until:
            break
    return losses
