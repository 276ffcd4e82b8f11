"""What derives from the batch is followed, and every trainable parameter is measured or named."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import gradlens as gl
from gradlens.hooks.following import Following, dry_samples

N = 6


def record(model: nn.Module, inputs: Tensor, space: str = "activations") -> gl.Recording:
    return gl.capture(model, [(inputs, torch.arange(len(inputs)) % 3)], space=space, costs=False, mode="eval")


def modules(recording: gl.Recording) -> list[str]:
    return [signal.probe.module for signal in recording.signals]


class Computed(nn.Module):
    """A layer whose weight is a function of one parameter."""

    def __init__(self, weight: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.w, self.head = nn.Parameter(torch.randn(8, 8)), nn.Linear(8, 3)
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.linear(x, self.weight(self.w)).relu())


BASIS = torch.randn(8, 8)


@pytest.mark.parametrize(
    "weight",
    [
        lambda w: BASIS @ w,
        lambda w: w / torch.dot(torch.mv(w, BASIS[0]), BASIS[1]),
        lambda w: torch.linalg.solve(torch.eye(8) + w - w.T, torch.eye(8) - w + w.T),
        lambda w: w + (w.sign() - w).detach(),
        lambda w: w * (w.abs() > 0.5),
        lambda w: w + w * torch.rand_like(w) + torch.randn(8, 8) * w,
        lambda w: torch.stack([w[0], *w[1:]]),
    ],
    ids=["basis", "spectral", "cayley", "straight through", "mask", "noise", "stack"],
)
def test_a_weight_computed_from_parameters_is_the_weight_of_a_layer(
    weight: Callable[[Tensor], Tensor],
) -> None:
    torch.manual_seed(0)
    recording = record(Computed(weight), torch.randn(N, 8))
    assert modules(recording) == ["", "head"]
    assert recording.meta["unseen_layers"] == []


@pytest.mark.parametrize("space", ["activations", "weights"])
@pytest.mark.parametrize("name", ["spectral_norm", "orthogonal", "weight_norm", "old spectral_norm"])
def test_parametrised_layers_are_signals(name: str, space: str) -> None:
    def wrapped(layer: nn.Module) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if name == "old spectral_norm":
                return nn.utils.spectral_norm(layer)
            return getattr(parametrizations, name)(layer)

    torch.manual_seed(0)
    model = nn.Sequential(wrapped(nn.Conv2d(3, 8, 3)), nn.ReLU(), nn.Flatten(), wrapped(nn.Linear(128, 3)))
    recording = record(model, torch.randn(N, 3, 6, 6), space)
    assert [module.split(".")[0] for module in modules(recording) if "weight" not in module] == ["0", "3"]


def test_a_weight_that_derives_from_the_batch_is_no_constant() -> None:
    class Hyper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hyper, self.head = nn.Linear(8, 64), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(functional.linear(x, self.hyper(x.mean(0)).view(8, 8)).relu())

    assert modules(record(Hyper(), torch.randn(N, 8))) == ["hyper", "head"]


class Product(nn.Module):
    """Layers that are no module: a weight on the left, experts, a vector."""

    def __init__(self, shape: tuple[int, ...], product: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.w, self.product = nn.Parameter(torch.randn(shape)), product

    def forward(self, x: Tensor) -> Tensor:
        h = self.product(self.w, x).tanh()
        return torch.stack([h.sum(1), h.square().sum(1), h[:, 0]], 1)


PRODUCTS = {
    "left": ((7, 8), lambda w, x: (w @ x.T).T),
    "einsum left": ((7, 2), lambda w, x: torch.einsum("oi,nil->nol", w, x.view(-1, 2, 4)).flatten(1)),
    "einsum right": ((7, 2), lambda w, x: torch.einsum("nil,oi->nol", x.view(-1, 2, 4), w).flatten(1)),
    "experts": ((5, 8, 7), lambda w, x: torch.bmm(x.expand(5, -1, -1), w).transpose(0, 1).flatten(1)),
    "all experts": ((5, 8, 7), lambda w, x: torch.einsum("ni,eio->neo", x, w).flatten(1)),
    "vector": ((8,), lambda w, x: (x @ w)[:, None]),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_weight_of_a_product_has_the_gradients_of_one_sample_after_another(name: str) -> None:
    torch.manual_seed(0)
    model, x = Product(*PRODUCTS[name]).double(), torch.randn(N, 8).double()
    targets, rows = torch.arange(N) % 3, []
    for i in range(N):
        loss = functional.cross_entropy(model(x[i : i + 1]), targets[i : i + 1])
        rows.append(torch.autograd.grad(loss, [model.w])[0].flatten())
    expected = torch.stack(rows) @ torch.stack(rows).T
    recording = record(model, x, "weights")
    assert recording.meta["unseen_layers"] == []
    assert np.allclose(recording.grams[recording.plan.signals[0], 0], expected, rtol=1e-6)


def test_learned_queries_repeated_for_each_sample_do_not_hide_the_layers_that_read_them() -> None:
    class Queries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.first, self.head = nn.Parameter(torch.randn(5, 8)), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            queries = self.first(self.q.expand(len(x), -1, -1))
            return self.head((queries * x[:, None]).tanh().mean(1))

    recording = record(Queries(), torch.randn(N, 8))
    assert modules(recording) == ["first", "head"]
    assert recording.meta["unseen_layers"] == ["q"]


@pytest.mark.parametrize("space", ["activations", "weights"])
def test_each_trainable_parameter_is_a_signals_weight_or_has_a_reason(space: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.rnn = nn.EmbeddingBag(20, 8), nn.GRUCell(8, 8)
            self.idle, self.norm, self.head = nn.Linear(2, 2), nn.LayerNorm(8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.norm(self.rnn(self.words(x))))

    model = Net()
    recording = record(model, torch.randint(0, 20, (N, 5)), space)
    roots = {
        name for signal in recording.signals for name in recording.plan.graph.nodes[signal.probe.node].roots
    }
    reasons = recording.meta["not_measured"]
    assert roots.isdisjoint(reasons)
    assert roots | set(reasons) == {name for name, _ in model.named_parameters()}
    assert reasons["idle.weight"] == "the loss does not depend on it"


def test_views_and_writes_of_the_batch_are_followed() -> None:
    model = nn.Linear(4, 4)
    x, buffer = torch.randn(3, 4), torch.zeros(7)
    with Following(model, x, 3) as following:
        constant = model.weight * 2
        buffer[:4] = x.view(-1)[:4]
        mixed = model.weight.sum() * buffer
    read = [following.reads[tensor.grad_fn._sequence_nr()] for tensor in (constant, mixed)]  # type: ignore[union-attr]
    assert read == [False, True]


def test_the_dry_pass_has_a_size_that_no_parameter_has() -> None:
    assert dry_samples(nn.Linear(4, 3), (), 16, 4) == 2
    assert dry_samples(nn.Linear(8, 3), (), 16, 4) == 4
    assert dry_samples(nn.Linear(8, 3), (torch.zeros(16, 4, 8),), 16, 4) == 2
