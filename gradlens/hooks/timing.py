"""Throughput from wall-clock times, which differ between runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")


def passes(
    model: nn.Module, step: Callable[[Batch], Tensor], batch: Batch, samples: int, repeats: int
) -> dict[str, list[float]]:
    """Return the images per second of the forward pass and of forward and backward, timed alternately.

    Args:
        model: the network.
        step: returns the scalar loss of a batch.
        batch: argument of ``step``.
        samples: number of samples in the batch.
        repeats: timed runs per pass, after an untimed one.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def forward() -> None:
        with torch.no_grad():
            step(batch)

    def both() -> None:
        torch.autograd.grad(step(batch), learning, allow_unused=True)

    speeds: dict[str, list[float]] = {"forward": [], "forward + backward": []}
    for repeat in range(repeats + 1):
        for name, run in (("forward", forward), ("forward + backward", both)):
            seconds = _seconds(run)
            if repeat:
                speeds[name].append(samples / seconds)
    return speeds


def _seconds(run: Callable[[], None]) -> float:
    _settle()
    begin = time.perf_counter()
    run()
    _settle()
    return time.perf_counter() - begin


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
