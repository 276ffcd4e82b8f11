"""A step on a few samples, before anything is measured: its errors come first, and its memory is estimated."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from gradlens.errors import GradlensError
from gradlens.hooks.checks import check_readable, checked_losses, checked_size
from gradlens.hooks.costs import saved_bytes_of
from gradlens.hooks.cutting import first_samples
from gradlens.hooks.dry import SAMPLES
from gradlens.hooks.nesting import copied
from gradlens.hooks.state import Guard, preserved
from gradlens.hooks.steps import Loss, Step, errors_of, seed_draws, step_of
from gradlens.recording.watch import Watch


def rehearse(
    model: nn.Module, batch: object, watch: Watch, *, loss: Loss | None = None, step: Step | None = None
) -> int:
    """Run the forward pass of a step on a few samples, on the whole batch if it cannot run on a part.

    The model and the batch are left unchanged, as by ``capture``.

    Args:
        model: the network.
        batch: the first batch.
        watch: how it will be measured.
        loss: as in ``capture``.
        step: as in ``capture``.

    Returns:
        About how many bytes a sample saves for the backward pass on the CPU; 0 if that is not known.

    Raises:
        GradlensError: the step fails on the whole batch, too; the message is that of ``capture``.
    """
    run = step_of(loss, step)
    check_readable(model)
    n = checked_size(0, batch, watch)
    few = _few(batch, n, watch)
    if few is not None:
        try:
            return _saved_by(model, watch, lambda: run(model, few)) // SAMPLES
        except Exception:  # of the user's model, so it can be of any kind; an error of its own recurs
            pass
    with errors_of(run, model):
        return _saved_by(model, watch, lambda: run(model, copied(batch))) // n


def _few(batch: object, n: int, watch: Watch) -> object | None:
    try:
        return first_samples(batch, SAMPLES, n, second=watch.samples is not None)
    except GradlensError:
        return None


def _saved_by(model: nn.Module, watch: Watch, run: Callable[[], object]) -> int:
    guard = Guard(model)
    with preserved(model, watch.mode), torch.enable_grad(), guard.trial():
        seed_draws(watch.seed, 0)
        return saved_bytes_of(model, lambda: checked_losses(0, model, run))
