"""Cosines of two branches of very different size: from the contributions, against plain autograd in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.analyzers.branches import LOST, Branches
from gradlens.grams.pairs import sample_products
from gradlens.metrics import pair_inner_products, polarisation_error

SCALES = [1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-9, 1e2]


class Scaled(nn.Module):
    """A residual block whose branch is scaled, as by a LayerScale."""

    def __init__(self, scale: float, form: str = "image") -> None:
        super().__init__()
        self.scale, self.form = scale, form
        torch.manual_seed(0)
        self.stem, self.branch = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def fork(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.stem(x))
        return x.to(memory_format=torch.channels_last) if self.form == "channels last" else x

    def merged(self, skip: Tensor, inside: Tensor) -> Tensor:
        joined = skip.sin() + self.scale * torch.tanh(self.branch(inside))
        return self.head(joined.mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        fork = self.fork(x)
        return self.merged(fork, fork)


def data(seed: int = 0, n: int = 8) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 8, 8, generator=draw), torch.arange(n) % 4


def true_cosine(model: Scaled, batch: tuple[Tensor, Tensor]) -> float:
    model, (x, labels) = model.double(), batch
    skip = model.fork(x.double()).detach().requires_grad_()
    inside = skip.detach().clone().requires_grad_()
    a, b = torch.autograd.grad(functional.cross_entropy(model.merged(skip, inside), labels), [skip, inside])
    a, b = a.flatten(1), b.flatten(1)
    return float(
        ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).mean()
    )  # cosine_similarity clamps small norms


def row(recording: gl.Recording) -> Any:
    frame = Branches()(recording).frame
    (fork,) = frame[frame["where"] == "fork"].to_dict("records")
    return fork


@pytest.mark.parametrize("form", ["image", "channels last"])
@pytest.mark.parametrize("scale", SCALES)
def test_the_cosine_of_an_uneven_fork_is_that_of_its_contributions(scale: float, form: str) -> None:
    fork = row(gl.capture(Scaled(scale, form), [data()], costs=False))
    assert fork["cosine"] == pytest.approx(true_cosine(Scaled(scale, form), data()), abs=2e-4)
    assert fork["cosine_exact"]


@pytest.mark.parametrize("scale", [1e-6, 1.0])
def test_exact_pairs_hold_the_contributions_of_two_branches(scale: float) -> None:
    recording = gl.capture(Scaled(scale), [data()], pairs="exact", costs=False)
    assert list(recording.inner) == [0]
    assert row(recording)["cosine"] == pytest.approx(true_cosine(Scaled(scale), data()), abs=1e-5)


def test_even_forks_hold_nothing() -> None:
    assert not gl.capture(Scaled(1.0), [data()], costs=False).inner


def test_without_a_dry_pass_two_branches_are_multiplied() -> None:
    class Lists(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Scaled(1e-6)

        def forward(self, batch: Any) -> Tensor:
            return self.inner(batch.x)

    class Batch:
        x, labels = data()

    def step(model: nn.Module, batch: Batch) -> Tensor:
        return functional.cross_entropy(model(batch), batch.labels)

    recording = gl.capture(Lists(), [Batch()], step=step, samples=8, costs=False)
    assert row(recording)["cosine"] == pytest.approx(true_cosine(Scaled(1e-6), data()), abs=2e-4)


def test_a_cosine_that_rounding_hides_has_a_reason() -> None:
    recording = gl.capture(Scaled(1e-7), [data()], costs=False)
    older = type(recording)(
        **{**vars_of(recording), "inner": {}}
    )  # as recorded before contributions were held
    fork = row(older)
    assert np.isnan(fork["cosine"])
    assert fork["reason"] == LOST
    assert not fork["cosine_exact"]


def vars_of(recording: gl.Recording) -> dict[str, Any]:
    return {name: getattr(recording, name) for name in recording.__dataclass_fields__}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_merging_an_uneven_with_an_even_recording_keeps_both_exact(order: tuple[int, int]) -> None:
    model = Scaled(1e-6)
    uneven = gl.capture(model, [data()], seed=0, costs=False)
    model.scale = 0.5
    even = gl.capture(model, [data(1)], seed=1, costs=False)
    assert (list(uneven.inner), list(even.inner)) == ([0], [])
    recordings = [uneven, even]
    merged = recordings[order[0]].merge(recordings[order[1]])
    mean = (true_cosine(Scaled(1e-6), data()) + true_cosine(Scaled(0.5), data(1))) / 2
    assert row(merged)["cosine"] == pytest.approx(mean, abs=2e-4)


def test_the_stated_error_covers_the_error_of_polarisation() -> None:
    draw = np.random.default_rng(0)
    for scale in (1.0, 1e-2, 1e-4, 1e-6):
        a = draw.normal(size=(6, 50_000)).astype(np.float32)
        b = (scale * draw.normal(size=(6, 50_000))).astype(np.float32)
        norms = np.stack([np.square(a).sum(1), np.square(b).sum(1)]).astype(float)
        inner = pair_inner_products(np.square(a + b).sum(1).astype(float), norms)
        exact = (a.astype(float) * b).sum(1)
        errors = np.abs(inner[0, 1] - exact) / np.sqrt(norms[0] * norms[1])
        assert errors.mean() <= polarisation_error(inner)


def test_products_that_underflow_are_computed_in_float64() -> None:
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 4, 30, generator=draw) * torch.tensor([1e-20, 1e-25])[:, None, None]
    expected = (a.double() * b.double()).sum(1).numpy()
    np.testing.assert_allclose(sample_products(a, b, 1, 4), expected, rtol=1e-6)


def test_products_of_complex_and_sequence_first_gradients() -> None:
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 4, 3, generator=draw, dtype=torch.complex128)
    expected = (a * b.conj()).real.sum((0, 2)).numpy()
    np.testing.assert_allclose(sample_products(a, b, 5, 4), expected)
