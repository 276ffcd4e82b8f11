"""Measured throughput: wall-clock, so the one thing that differs from run to run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def passes(
    model: nn.Module, step: Callable[[Any], Tensor], batch: Any, samples: int, repeats: int
) -> dict[str, list[float]]:
    """Images a second of the forward pass alone and of forward and backward, alternating.

    Args:
        model: whose gradients are taken.
        step: returns the scalar loss of a batch.
        batch: given to ``step``.
        samples: in the batch.
        repeats: timed runs of each, after one that is not timed.
    """
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def forward() -> None:
        with torch.no_grad():
            step(batch)

    def both() -> None:
        torch.autograd.grad(step(batch), wanted, allow_unused=True)

    found: dict[str, list[float]] = {"forward": [], "forward + backward": []}
    for repeat in range(repeats + 1):
        for name, run in (("forward", forward), ("forward + backward", both)):
            seconds = _seconds(run)
            if repeat:
                found[name].append(samples / seconds)
    return found


def _seconds(run: Callable[[], None]) -> float:
    _settle()
    begin = time.perf_counter()
    run()
    _settle()
    return time.perf_counter() - begin


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
