"""A watched step never waits for the device: no value is read in a hook, and one copy follows the pass."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.grams.accumulator import Accumulator
from gradlens.hooks.watcher import Watched, Watcher
from gradlens.recording.watch import Watch
from tests.oracles.device import Away, Device, moved

N = 12  # more than one panel of samples on the CPU


class Blocks(nn.Module):
    """Forks of two and of four, uneven branches, a split, and channels that one sample leaves at zero."""

    def __init__(self, scale: float = 1e-3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = scale
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.branches = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        self.narrow, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(8)
        self.head = nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.stem(x))
        x = x + self.scale * torch.tanh(self.branches[0](x))
        y = torch.cat([x.sin(), *(branch(x) for branch in self.branches)], 1)
        first, second = self.norm(y[:, :8]).chunk(2, 1)
        return self.head(torch.cat([self.narrow(first), second, y[:, 8:]], 1).mean((2, 3)))


class Words(nn.Module):
    """An embedding of 100 words and a mixing of positions."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.mix = nn.Embedding(100, 8), nn.Linear(8, 8)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.words(x)
        x = x + (x @ x.transpose(1, 2)).softmax(2) @ self.mix(x)
        return self.head(self.norm(x).mean(1))


def images() -> tuple[Tensor, Tensor]:
    return torch.randn(N, 3, 16, 16, generator=torch.Generator().manual_seed(1)), torch.arange(N) % 4


def sentences() -> tuple[Tensor, Tensor]:
    return torch.randint(100, (N, 5), generator=torch.Generator().manual_seed(1)), torch.arange(N) % 4


def two_losses(model: nn.Module, batch: Any) -> Mapping[str, Tensor]:
    output = model(batch[0])
    return {"class": functional.cross_entropy(output, batch[1]), "size": output.square().mean()}


CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any], dict[str, Any]]] = {
    "signals": (Blocks, images, {}),
    "all": (Blocks, images, {"sites": "all"}),
    "exact pairs": (Blocks, images, {"pairs": "exact"}),
    "halves": (Blocks, images, {"halves": True}),
    "weights": (Blocks, images, {"space": "weights"}),
    "uneven": (lambda: Blocks(1e-7), images, {}),
    "words": (Words, sentences, {"sites": "all"}),
    "weights of words": (Words, sentences, {"space": "weights"}),
}


def watched(
    model: nn.Module, batch: Any, options: dict[str, Any], device: Device | None = None, **kwargs: Any
) -> Watched:
    """Return what a second batch leaves; ``device`` counts from there on."""
    watcher = Watcher(model.train(), Watch(**options), **kwargs)
    state, _ = watcher.first(batch)
    if device is not None:
        device.waits.clear()
        device.copies = 0
    return watcher.next(state, 1, batch)


def away(batch: Any) -> Any:
    return tuple(Away(tensor) for tensor in batch)


@pytest.mark.parametrize("case", CASES)
def test_no_hook_waits_and_the_grams_are_those_of_the_cpu(case: str) -> None:
    make, data, options = CASES[case]
    model = make()
    expected = watched(copy.deepcopy(model), data(), options)
    with Device() as device:
        measured = watched(moved(model), away(data()), options, device)
    assert not device.waits
    assert device.copies == 1
    scale = np.nanmax(np.abs(expected.grams.grams))
    np.testing.assert_allclose(measured.grams.grams, expected.grams.grams, atol=1e-6 * scale)
    assert measured.labels is not None
    assert measured.labels.tolist() == [i % 4 for i in range(N)]
    assert measured.grams.inner.keys() == expected.grams.inner.keys()
    for fork, inner in expected.grams.inner.items():
        np.testing.assert_allclose(measured.grams.inner[fork], inner, atol=1e-5 * np.abs(inner).max())


def test_several_losses_are_copied_once_a_pass() -> None:
    with Device() as device:
        measured = watched(moved(Blocks()), away(images()), {}, device, step=two_losses)
    assert measured.by_loss is not None
    assert set(device.waits) <= {"_local_scalar_dense"}  # the values of the losses, outside the hooks
    assert device.waits["_local_scalar_dense"] <= 6


def test_one_item_in_a_hook_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    update = Accumulator.update

    def curious(self: Accumulator, arrived: Sequence[tuple[int, Tensor]]) -> None:
        arrived[0][1].sum().item()
        update(self, arrived)

    monkeypatch.setattr(Accumulator, "update", curious)
    with Device() as device:
        watched(moved(Blocks()), away(images()), {}, device)
    assert device.waits["_local_scalar_dense"] > 10


@pytest.mark.parametrize("scale", [1e-21, 1e-16])
def test_energies_that_float32_loses_are_multiplied_in_float64(scale: float) -> None:
    def small(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1]) * scale

    model = Blocks()
    expected = watched(copy.deepcopy(model), images(), {}, step=small)
    with Device() as device:
        measured = watched(moved(model), away(images()), {}, device, step=small)
    assert device.copies == 1  # the first batch showed which ones they are
    np.testing.assert_allclose(measured.grams.grams, expected.grams.grams, rtol=1e-3, atol=0)
    assert measured.grams.grams[0].any()


def test_a_signal_of_zero_stays_zero_and_is_not_looked_at_again() -> None:
    model = Blocks()
    nn.init.zeros_(model.head.weight)
    with Device() as device:
        measured = watched(moved(model), away(images()), {}, device)
    assert device.copies == 1
    dead = [gram for gram in measured.grams.grams if not gram.any()]
    assert 0 < len(dead) < len(measured.grams.grams)


def test_a_gradient_that_is_not_finite_is_named_by_its_first_site() -> None:
    class Root(Blocks):
        def forward(self, x: Tensor) -> Tensor:
            x = torch.tanh(self.stem(x))
            return self.head(x.mean((2, 3)).repeat(1, 4)) + (x * 0).sum().sqrt()

    with Device(), pytest.raises(GradlensError, match=r"batch 0: the gradient is not finite, first at"):
        watched(moved(Root()), away(images()), {"sites": "all"})


def test_a_loss_that_is_not_finite_is_named_after_the_pass() -> None:
    model = Blocks()
    nn.init.constant_(model.narrow.weight, torch.inf)
    with Device(), pytest.raises(GradlensError, match=r"batch 0: the loss is nan; it arose in narrow"):
        watched(moved(model), away(images()), {})


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_grams_have_full_precision_where_the_caller_allows_less(precision: str) -> None:
    model, before = Blocks(), torch.get_float32_matmul_precision()
    exact = gl.capture(copy.deepcopy(model).double(), [(images()[0].double(), images()[1])], costs=False)
    try:
        torch.set_float32_matmul_precision(precision)
        switches = torch.backends.mkldnn.matmul.fp32_precision
        measured = gl.capture(model, [images()], costs=False)
        assert torch.backends.mkldnn.matmul.fp32_precision == switches
    finally:
        torch.set_float32_matmul_precision(before)
    assert measured.inner  # a fork whose contributions are multiplied
    energies = [np.trace(recording.grams[:, 0], axis1=1, axis2=2) for recording in (measured, exact)]
    np.testing.assert_allclose(energies[0], energies[1], rtol=1e-4)
