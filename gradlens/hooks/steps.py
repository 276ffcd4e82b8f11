"""The step that is watched, and what is read from its batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from gradlens.errors import GradlensError
from gradlens.randomness import seed_all

Loss = Callable[[Any, Any], Tensor]
Step = Callable[[nn.Module, Any], Tensor]


def step_of(loss: Loss | None, step: Step | None) -> Step:
    """The step that is watched: the caller's, or one that takes ``loss`` of (inputs, targets)."""
    if loss is not None and step is not None:
        raise GradlensError("give either loss or step, not both: a step computes its own loss")
    if step is not None:
        return step
    criterion = loss or functional.cross_entropy

    def supervised(model: nn.Module, batch: Any) -> Tensor:
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


def _pair(batch: Any) -> tuple[Any, Any]:
    try:
        inputs, targets = batch
    except (TypeError, ValueError):
        raise GradlensError(
            f"a batch is a {type(batch).__name__}, not (inputs, targets); give step=(model, batch) -> loss"
        ) from None
    return inputs, targets


def seed_draws(seed: int, batch: int) -> None:
    """Seed dropout and similar draws by seed and batch number, equal at each capture; ``preserved`` restores."""
    seed_all((seed * 1_000_003 + batch) % (1 << 63))


def labels_of(batch: Any, n: int) -> Any:
    """Integer class of each sample where a batch is (inputs, targets)."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not isinstance(batch[1], Tensor):
        return None
    targets = batch[1]
    if targets.shape != (n,) or targets.is_floating_point():
        return None
    return targets.detach().cpu().numpy().astype(np.int64)
