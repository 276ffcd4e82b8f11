"""A step before the measurement: it finds errors, estimates memory, and leaves no trace."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.hooks.rehearsal import rehearse
from gradlens.recording import Watch

N = 32
BATCH = torch.rand(N, 6), torch.arange(N) % 3


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Sigmoid(), nn.Dropout(), nn.Linear(5, 3))


def test_nothing_is_changed() -> None:
    model = layers().eval()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    rehearse(model, BATCH, Watch())
    assert torch.equal(torch.rand(2), expected)
    assert not model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_bytes_are_those_that_a_sample_saves() -> None:
    model = nn.Sequential(nn.Linear(6, 5, bias=False), nn.Sigmoid(), nn.Linear(5, 3, bias=False))
    step = lambda model, batch: model(batch[0]).sum()  # noqa: E731
    assert rehearse(model, BATCH, Watch(), step=step) == 4 * (6 + 5)  # inputs of the linear layers


def test_a_network_that_needs_the_whole_batch_is_run_on_it() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.seen = nn.Linear(6, 3), [0]

        def forward(self, x: Tensor) -> Tensor:
            self.seen[0] = max(self.seen[0], len(x))
            return self.layer(x.reshape(N, 6))

    model = Fixed()
    seen = []
    model.layer.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    assert rehearse(model, BATCH, Watch()) > 0
    assert seen == [N]


@pytest.mark.parametrize(
    ("part", "message"),
    [("model", "your model raised KeyError: 'neck' in"), ("step", "your step raised KeyError: 'neck' in")],
)
def test_an_exception_is_shown_as_that_of_the_caller(part: str, message: str) -> None:
    class Broken(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return {"body": x}["neck"] if part == "model" else super().forward(x)

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return {"body": model(batch[0]).mean()}["neck"]

    with pytest.raises(GradlensError, match=message):
        rehearse(Broken(6, 3), BATCH, Watch(), step=step if part == "step" else None)


def test_a_loss_that_is_no_number_is_refused() -> None:
    with pytest.raises(GradlensError, match="the loss is nan"):
        rehearse(layers(), BATCH, Watch(), step=lambda model, batch: model(batch[0]).sum() * torch.nan)
