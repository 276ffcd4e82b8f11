"""One place saves, seeds and restores the random states of PyTorch, NumPy and Python."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from gradlens.errors import GradlensError
from gradlens.randomness import SEED_LIMIT, random_states_kept, seed_all, seeded


def draws() -> tuple[float, float, float]:
    return torch.rand(1).item(), float(np.random.rand()), random.random()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_states_are_restored_after_the_block(error: type[BaseException] | None) -> None:
    seed_all(3)
    expected = draws()
    seed_all(3)
    try:
        with random_states_kept():
            seed_all(5)
            draws()
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert draws() == expected


def test_a_seed_determines_every_generator() -> None:
    with seeded(7):
        first = draws()
    with seeded(7):
        assert draws() == first
    with seeded(8):
        assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_without_a_seed_the_global_states_are_used() -> None:
    seed_all(3)
    expected = [draws(), draws()]
    seed_all(3)
    with seeded(None):
        assert draws() == expected[0]
    assert draws() == expected[1]


def test_seeding_is_what_torch_does_on_the_cpu() -> None:
    with random_states_kept():
        torch.manual_seed(2**40 + 1)
        expected = torch.rand(4)
        seed_all(2**40 + 1)
        assert torch.equal(torch.rand(4), expected)


def test_an_unused_gpu_is_left_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("a seed was queued"))
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda *_: pytest.fail("CUDA was initialised"))
    with seeded(1):
        draws()


@pytest.mark.parametrize("seed", [-1, SEED_LIMIT])
def test_a_seed_out_of_range_is_an_error(seed: int) -> None:
    with pytest.raises(GradlensError, match=f"seed is {seed}; it must be from 0"), seeded(seed):
        pass
