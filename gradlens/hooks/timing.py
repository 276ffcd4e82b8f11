"""Throughput from wall-clock times, which differ between runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from gradlens.catalogue.losses import BOTH, FORWARD, FORWARD_OF_BACKBONE

Batch = TypeVar("Batch")


def passes(
    model: nn.Module,
    step: Callable[[Batch], Tensor],
    batch: Batch,
    samples: int,
    repeats: int,
    backbone: Collection[str] = (),
) -> dict[str, list[float]]:
    """Return the images per second of the forward pass and of forward and backward, timed alternately.

    With a backbone, also those of the part of the forward pass from its first module to its last.

    Args:
        model: the network.
        step: returns the scalar loss of a batch.
        batch: argument of ``step``.
        samples: number of samples in the batch.
        repeats: timed runs per pass, after an untimed one.
        backbone: paths of the modules of the backbone; empty if it is the whole network.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def forward() -> None:
        with torch.no_grad():
            step(batch)

    def both() -> None:
        torch.autograd.grad(step(batch), learning, allow_unused=True)

    timed: dict[str, Callable[[], float]] = {FORWARD: lambda: _seconds(forward), BOTH: lambda: _seconds(both)}
    if backbone:
        ends = _ends(model, backbone, forward)
        if ends:
            timed[FORWARD_OF_BACKBONE] = lambda: _seconds_between(model, ends, forward)
    speeds: dict[str, list[float]] = {name: [] for name in timed}
    for repeat in range(repeats + 1):
        for name, seconds in timed.items():
            duration = seconds()
            if repeat:
                speeds[name].append(samples / duration)
    return speeds


def _ends(
    model: nn.Module, backbone: Collection[str], run: Callable[[], None]
) -> tuple[str, str] | tuple[()]:
    """Run the forward pass and return the first of these modules that begins and the last one that ends, if any."""
    entered: list[str] = []
    left: list[str] = []
    with _calls(model, backbone, entered.append, left.append):
        run()
    return (entered[0], left[-1]) if left else ()


def _seconds_between(model: nn.Module, ends: Sequence[str], run: Callable[[], None]) -> float:
    """Run the forward pass and return the seconds from the first call of a module to the end of the last one."""
    times: dict[bool, float] = {}

    def begin(path: str) -> None:
        if path == ends[0] and False not in times:
            _settle()
            times[False] = time.perf_counter()

    def end(path: str) -> None:
        if path == ends[1]:
            _settle()
            times[True] = time.perf_counter()

    with _calls(model, ends, begin, end):
        run()
    return times[True] - times[False]


@contextmanager
def _calls(
    model: nn.Module, paths: Collection[str], begin: Callable[[str], None], end: Callable[[str], None]
) -> Iterator[None]:
    """Call functions with the path of a module before and after each of its calls."""
    handles = []
    try:
        for path, module in model.named_modules():
            if path in paths and not isinstance(module, torch.jit.ScriptModule):
                handles.append(module.register_forward_pre_hook(lambda *_, path=path: begin(path)))
                handles.append(module.register_forward_hook(lambda *_, path=path: end(path)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _seconds(run: Callable[[], None]) -> float:
    _settle()
    begin = time.perf_counter()
    run()
    _settle()
    return time.perf_counter() - begin


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
