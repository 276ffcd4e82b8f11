"""Save, restore and seed the global random states of PyTorch (CPU and CUDA), NumPy and Python."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradlens.errors import GradlensError
from gradlens.options import SEED_LIMIT


@dataclass(frozen=True)
class RandomStates:
    """The states of all generators at one moment.

    Attributes:
        python: of ``random``.
        numpy: of NumPy's global generator.
        cpu: of PyTorch's generator of the CPU.
        cuda: of its generators of the CUDA devices, by number.
    """

    python: tuple[Any, ...]
    numpy: Any
    cpu: Tensor
    cuda: Mapping[int, Tensor]

    @classmethod
    def now(cls) -> RandomStates:
        """Return the present states."""
        cuda = {device: torch.cuda.get_rng_state(device) for device in _cuda_devices()}
        return cls(random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda)

    def restore(self) -> None:
        """Set all generators to these states."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        torch.set_rng_state(self.cpu)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Restore all random states after the block, also if it raises."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices=_cuda_devices()):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def seed_all(seed: int) -> None:
    """Seed every generator; NumPy uses the last 32 bits of the seed.

    Unlike ``torch.manual_seed``, this queues no seed for CUDA devices that have not been used yet: a queued seed
    would outlive ``random_states_kept``.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed % SEED_LIMIT)
    random.seed(seed)


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed every generator for the block and restore the states after it; do nothing if ``seed`` is None.

    Raises:
        GradlensError: the seed is negative or too large.
    """
    if seed is None:
        yield
        return
    if not 0 <= seed < SEED_LIMIT:
        raise GradlensError(f"seed is {seed}; it must be from 0 to {SEED_LIMIT - 1}")
    with random_states_kept():
        seed_all(seed)
        yield


def _cuda_devices() -> list[int]:
    """Return the CUDA devices with a random state to save; none before CUDA is initialised."""
    return list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
