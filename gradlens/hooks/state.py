"""Leaving a model exactly as it was found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from gradlens.errors import GradlensError
from gradlens.recording.watch import MODES


@contextmanager
def preserved(model: nn.Module, mode: str = "train") -> Iterator[None]:
    """Run with the model in a mode; afterwards mode, buffers and random states are as before.

    The random states are PyTorch's, NumPy's and Python's own. ``.grad`` and ``requires_grad`` need
    no care: gradients are taken with ``torch.autograd.grad``.

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
    numpy_state, python_state = np.random.get_state(), random.getstate()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        try:
            if mode != "keep":
                model.train(mode == "train")
            yield
        finally:
            with torch.no_grad():
                for module, name, buffer, saved in buffers:
                    buffer.copy_(saved)
                    module._buffers[name] = buffer  # forward may have put another in its place
            for module, training in modes:
                module.training = training
            np.random.set_state(numpy_state)
            random.setstate(python_state)
