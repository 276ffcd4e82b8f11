"""preserved: the model is restored."""

from __future__ import annotations

import random
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.hooks.state import preserved


def net() -> nn.Sequential:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.BatchNorm2d(4))
    model.train()
    model[3].eval()
    return model


X = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("mode", "inside"), [("train", [True, True]), ("eval", [False, False]), ("keep", [True, False])]
)
def test_mode_inside_and_the_mode_of_each_module_afterwards(mode: str, inside: list[bool]) -> None:
    model = net()
    before = [module.training for module in model.modules()]
    with preserved(model, mode):
        assert [model[1].training, model[3].training] == inside
    assert [module.training for module in model.modules()] == before


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_buffers_and_random_state_are_restored(error: type[BaseException] | None) -> None:
    model = net()
    buffers = {name: (id(buffer), buffer.clone()) for name, buffer in model.named_buffers()}
    random_states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    with nullcontext() if error is None else pytest.raises(error), preserved(model):
        model(X)
        assert not torch.equal(model[1].running_mean, buffers["1.running_mean"][1])
        torch.rand(3)
        np.random.rand(3)
        random.random()
        if error:
            raise error
    for name, buffer in model.named_buffers():
        assert id(buffer) == buffers[name][0]
        assert torch.equal(buffer, buffers[name][1])
    assert torch.equal(torch.get_rng_state(), random_states[0])
    assert np.array_equal(np.random.get_state()[1], random_states[1])
    assert random.getstate() == random_states[2]


def test_a_buffer_that_forward_replaces_is_restored_too() -> None:
    class Counts(nn.Module):
        seen: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.seen = self.seen + 1
            return x

    model = Counts()
    first = model.seen
    with preserved(model):
        model(X)
    assert model.seen.item() == 0
    assert model.seen is first


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(GradlensError, match="train, eval, keep"), preserved(net(), "trian"):
        pass
