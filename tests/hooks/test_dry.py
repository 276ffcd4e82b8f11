"""The dry pass: bit-for-bit equality, and detection of differences."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gradlens.hooks.cutting import first_samples
from gradlens.hooks.dry import dry_pass, relative_error
from gradlens.hooks.samples import batch_size


class Net(nn.Module):
    def __init__(self, program: Any) -> None:
        super().__init__()
        self.conv, self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.program = program

    def forward(self, x: Tensor) -> Tensor:
        return self.program(self, self.conv(x).tanh())


PROGRAMS = {
    "square": lambda self, h: h * h,
    "thrice": lambda self, h: torch.cat([h, self.a(h), h], 1),
    "residual": lambda self, h: torch.relu_(h + self.a(h)),
    "added to itself": lambda self, h: (h + h).tanh(),
    "split": lambda self, h: torch.cat([h.split(2, 1)[0], self.a(h)[:, :1]], 1),
    "slices": lambda self, h: torch.cat([h[:, :2].exp(), h[:, 2:].tanh()], 1),
    "chunk": lambda self, h: torch.cat([part.tanh() for part in h.chunk(2, 1)], 1),
    "many": lambda self, h: self.a(h) * self.b(h) + h.exp() * h.tanh() + h,
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_contributions_add_up_bit_for_bit(program: str, dtype: torch.dtype) -> None:
    model = Net(PROGRAMS[program]).to(dtype)
    result = dry_pass(model, (model(torch.randn(4, 3, 6, 6, dtype=dtype)) ** 2).sum(), 4)
    assert result.errors
    assert set(result.errors.values()) == {0.0}
    assert result.samples == 4


def test_a_hook_that_changes_the_sum_is_detected() -> None:
    model = Net(PROGRAMS["residual"])

    def meddling(self: Any, h: Tensor) -> Tensor:
        h.register_hook(lambda gradient: gradient * 1.5)
        return h + self.a(h)

    model.program = meddling
    result = dry_pass(model, (model(torch.randn(4, 3, 6, 6)) ** 2).sum(), 4)
    # a tensor's hook runs on the accumulated gradient, so the producer does not receive the sum
    assert max(result.errors.values()) == pytest.approx(1 / 3, rel=1e-5)


def test_relative_error_by_hand() -> None:
    assert relative_error(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.0])) == 0.0
    assert relative_error(torch.tensor([3.0, 5.0]), torch.tensor([3.0, 4.0])) == pytest.approx(0.2)
    assert relative_error(torch.tensor([1.0]), torch.tensor([0.0])) == float("inf")
    assert relative_error(torch.tensor([0.0]), torch.tensor([0.0])) == 0.0


class Pair(NamedTuple):
    image: Tensor
    label: Tensor


def test_the_first_samples_of_nested_batches_are_cut() -> None:
    x, y = torch.arange(12).view(6, 2), torch.arange(6)
    cut = first_samples(({"x": x, "name": "text"}, [y]), 4, 6)
    assert torch.equal(cut[0]["x"], x[:4])
    assert cut[0]["name"] == "text"
    assert torch.equal(cut[1][0], y[:4])
    assert isinstance(first_samples(Pair(x, y), 4, 6), Pair)
    assert batch_size(({"x": x}, y)) == 6


def test_a_batch_that_cannot_be_cut_gives_none() -> None:
    x, y = torch.ones(6, 2), torch.ones(5)
    assert first_samples((x, y), 4, 7) is None
    assert first_samples((x[:4], y[:4]), 4, 4) is None
    assert first_samples("text", 4, 6) is None
    assert batch_size("text") == 0
