"""Random numbers that are a function of a seed and leave no trace."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from gradlens.errors import GradlensError

LIMIT = 2**32  # NumPy takes no larger seed


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed PyTorch, NumPy and Python for the block, and put their states back after it.

    With ``seed`` None nothing is seeded and nothing is put back.

    Raises:
        GradlensError: the seed is negative or too large.
    """
    if seed is None:
        yield
        return
    if not 0 <= seed < LIMIT:
        raise GradlensError(f"seed is {seed}; it must be from 0 to {LIMIT - 1}")
    numpy_state, python_state = np.random.get_state(), random.getstate()
    # A device nobody has used yet holds no state to keep, and seeding it would wake it.
    awake = torch.cuda.is_initialized()
    devices = list(range(torch.cuda.device_count())) if awake else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.default_generator.manual_seed(seed)
            if devices:
                torch.cuda.manual_seed_all(seed)
            np.random.seed(seed)
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
