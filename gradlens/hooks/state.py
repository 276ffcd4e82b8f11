"""Restore the exact state of a model after a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from gradlens.errors import GradlensError
from gradlens.randomness import random_states_kept
from gradlens.recording.watch import MODES


@contextmanager
def preserved(model: nn.Module, mode: str = "train") -> Iterator[None]:
    """Run the block with the model in a mode, then restore modes, buffers and random states.

    ``.grad`` and ``requires_grad`` need no care because gradients are taken with ``torch.autograd.grad``.

    Args:
        model: any module.
        mode: ``train``, ``eval`` or ``keep``.

    Raises:
        GradlensError: an unknown mode.
    """
    if mode not in MODES:
        raise GradlensError(f"mode {mode!r} is not known; use one of {', '.join(MODES)}")
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    with random_states_kept():
        try:
            if mode != "keep":
                model.train(mode == "train")
            yield
        finally:
            with torch.no_grad():
                for module, name, buffer, saved in buffers:
                    buffer.copy_(saved)
                    module._buffers[name] = buffer  # forward may have replaced it
            for module, training in modes:
                module.training = training
