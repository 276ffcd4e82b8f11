"""The step whose backward pass is recorded, and the labels in its batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gradlens.errors import GradlensError
from gradlens.randomness import seed_all

Loss = Callable[[Any, Any], Tensor]
Step = Callable[[nn.Module, Any], Tensor]
Pair = tuple[Any, Any]
"""Inputs of the model and targets of the loss."""


def step_of(loss: Loss | None, step: Step | None) -> Step:
    """Return ``step``, or a step that computes ``loss`` for a batch of (inputs, targets).

    Raises:
        GradlensError: both are passed.
    """
    if loss is not None and step is not None:
        raise GradlensError("give either loss= or step=, not both: a step computes its own loss")
    if step is not None:
        return step
    criterion = loss or functional.cross_entropy

    def supervised(model: nn.Module, batch: object) -> Tensor:
        inputs, targets = _pair(batch)
        parameter = next(model.parameters(), None)
        if parameter is not None and isinstance(inputs, Tensor):
            inputs, targets = inputs.to(parameter.device), targets.to(parameter.device)
        output = model(inputs)
        if criterion is functional.cross_entropy and not isinstance(output, Tensor):
            raise GradlensError(
                f"the model returns a {type(output).__name__}, not logits; give loss=(output, target) -> scalar, "
                "or step=(model, batch) -> loss"
            )
        return criterion(output, targets)

    return supervised


def _pair(batch: object) -> Pair:
    try:
        inputs, targets = cast(Pair, batch)
    except (TypeError, ValueError):
        raise GradlensError(
            f"a batch is a {type(batch).__name__}, not (inputs, targets); give step=(model, batch) -> loss"
        ) from None
    return inputs, targets


def seed_draws(seed: int, batch: int) -> None:
    """Seed dropout and similar draws by seed and batch, the same in each capture; ``preserved`` restores the states."""
    seed_all((seed * 1_000_003 + batch) % (1 << 63))


def labels_of(batch: object, n: int) -> NDArray[np.int64] | None:
    """Return the integer class of each sample, ``[n]``, if a batch is (inputs, targets); else None."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not isinstance(batch[1], Tensor):
        return None
    targets = batch[1]
    if targets.shape != (n,) or targets.is_floating_point():
        return None
    return np.array(targets.detach().cpu().numpy(), dtype=np.int64)
