from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from oracles import per_sample


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """One sample at a time, the slow way."""
    return per_sample
