"""Contributions that one ``cat`` returns are read together, and measured as if each was read by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.grams import accumulator, slices
from gradlens.grams.product import Product
from gradlens.grams.slices import follows


class Dense(nn.Module):
    """A dense block with normalised layers, whose first input is wider than the others."""

    def __init__(self, layers: int = 5, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = scale
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(12 + 8 * rank, 8, 3, padding=1), nn.Tanh()) for rank in range(layers)
        )
        self.head = nn.Linear(12 + 8 * layers, 5)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.stem(x)]
        for layer in self.layers:
            parts.append(layer(torch.cat(parts, 1)))
        return self.head(torch.cat(parts, 1).mean((2, 3)) * self.scale)


class Case(NamedTuple):
    """A batch and a type of gradients, and by how much Grams may differ."""

    n: int = 6
    dtype: torch.dtype = torch.float32
    scale: float = 1.0
    layout: torch.memory_format = torch.contiguous_format
    tolerance: float = 1e-6


CASES = {
    "float32": Case(),
    "float64": Case(dtype=torch.float64, tolerance=1e-12),
    "more than one panel of samples": Case(n=21),
    "half precision": Case(dtype=torch.bfloat16, tolerance=1e-5),
    "energies that float32 loses": Case(scale=1e-16),
    "channels last": Case(layout=torch.channels_last),
}


def captured(case: Case) -> gl.Recording:
    model = Dense(scale=case.scale).to(case.dtype).to(memory_format=case.layout)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(case.n, 3, 10, 10, generator=generator).to(case.dtype)
    batch = x.contiguous(memory_format=case.layout), torch.arange(case.n) % 5
    return gl.capture(model, [batch], sites="all")


def forks(recording: gl.Recording) -> list[int]:
    return [index for index, group in enumerate(recording.plan.groups) if len(group.members) > 2]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_slices_that_are_read_together_have_the_numbers_of_each(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[Product | None] = []
    reduce = accumulator.product_of_slices

    def counted(*args: object) -> Product | None:
        results.append(reduce(*args))  # type: ignore[arg-type]
        return results[-1]

    monkeypatch.setattr(accumulator, "product_of_slices", counted)
    joined = captured(case)
    monkeypatch.setattr(slices, "CACHE", 0)
    number = len(results)
    single = captured(case)

    assert len(results) == number > 0
    assert all((result is None) == (case.scale < 1.0) for result in results)
    energies = np.diagonal(single.grams, axis1=-2, axis2=-1).max((1, 2))
    assert (energies > 0).all()
    assert (np.abs(joined.grams - single.grams).max((1, 2, 3)) <= case.tolerance * energies).all()
    assert len(forks(single)) == 4
    for index in forks(single):
        scale = np.abs(single.inner[index]).max()
        np.testing.assert_allclose(joined.inner[index], single.inner[index], atol=case.tolerance * scale)


def test_a_gradient_follows_another_one_of_its_size_that_lies_before_it() -> None:
    whole = torch.zeros(4, 9, 5)
    first, second = whole[:, :3], whole[:, 3:6]
    assert follows(first, second)
    others = {
        "the same": first,
        "not the next": whole[:, 6:],
        "of another size": whole[:, 3:5],
        "of another tensor": torch.zeros(4, 9, 5)[:, 3:6],
        "with gaps": whole[:, 3:9:2],
        "of another type": whole.view(torch.int32)[:, 3:6],
    }
    assert not [name for name, other in others.items() if follows(first, other)]
    assert not follows(whole[..., :2], whole[..., 2:4])
    empty, numbers = torch.zeros(0, 9), torch.zeros(2)
    assert not follows(empty[:, :3], empty[:, 3:6])
    assert not follows(numbers[0], numbers[1])
