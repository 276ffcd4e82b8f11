"""Weight space: Grams of per-sample weight gradients against torch.func, by both methods, for every layer."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from timm.layers import LayerScale, RmsNorm, RmsNorm2d, SimpleNorm
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.grams import accumulator, weights
from gradlens.grams.gram import gram
from gradlens.grams.uses import Products
from gradlens.hooks.forecast import forecast
from gradlens.words.warnings import warnings_alone

N = 6


def loss(output: Tensor, target: Tensor) -> Tensor:
    return functional.cross_entropy(output.flatten(1), target)


def truth(model: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return the per-sample gradients ``[n, …]`` by parameter: ``vmap(grad)`` of the loss of one sample."""
    parameters = {name: value.detach() for name, value in model.named_parameters()}

    def sample_loss(values: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return loss(functional_call(model, values, (x.unsqueeze(0),)), y.unsqueeze(0))

    return vmap(grad(sample_loss), in_dims=(None, 0, 0))(parameters, inputs, targets)


def record(model: nn.Module, inputs: Tensor, targets: Tensor, **options: Any) -> gl.Recording:
    return gl.capture(
        model, [(inputs, targets)], loss=loss, space="weights", costs=False, mode="keep", **options
    )


def check(model: nn.Module, inputs: Tensor, targets: Tensor, tolerance: float = 1e-6) -> gl.Recording:
    recording = record(model, inputs, targets)
    plan, expected = recording.plan, truth(model, inputs, targets)
    learning = {path for path, module in model.named_modules() if getattr(module, "weight", None) is not None}
    assert {plan.probes[number].module for number in plan.signals} == learning
    for number in plan.signals:
        probe = plan.probes[number]
        rows = expected[f"{probe.module}.weight"].reshape(len(inputs), -1).double()
        scale = float((rows @ rows.T).abs().max())
        difference = np.abs(recording.grams[number, 0] - (rows @ rows.T).numpy()).max()
        assert difference <= tolerance * scale, probe.name
        assert probe.elements(len(inputs)) == rows.shape[1]
    return recording


CONVOLUTIONS: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]] = {
    "3x3": lambda: (nn.Conv2d(3, 8, 3, padding=1), (3, 9, 9)),
    "1x1, few positions": lambda: (nn.Conv2d(64, 64, 1), (64, 1, 1)),
    "3x3, few positions": lambda: (nn.Conv2d(32, 48, 3, padding=1), (32, 2, 2)),
    "strided": lambda: (nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 9, 8)),
    "strided, few positions": lambda: (nn.Conv2d(32, 48, 3, stride=(2, 1), padding=(1, 0)), (32, 3, 4)),
    "dilated": lambda: (nn.Conv2d(16, 32, 3, dilation=2, padding=2), (16, 3, 3)),
    "dilated and strided": lambda: (nn.Conv2d(3, 4, (3, 2), stride=2, dilation=(2, 3)), (3, 12, 11)),
    "grouped": lambda: (nn.Conv2d(8, 12, 3, groups=4), (8, 7, 7)),
    "grouped, few positions": lambda: (nn.Conv2d(64, 64, 3, groups=2, padding=1), (64, 1, 2)),
    "depthwise": lambda: (nn.Conv2d(8, 8, 3, groups=8, padding=1), (8, 6, 6)),
    "depthwise, two per channel": lambda: (nn.Conv2d(4, 8, 3, groups=4), (4, 6, 6)),
    "same padding": lambda: (nn.Conv2d(3, 4, 5, padding="same"), (3, 7, 7)),
    "1-d": lambda: (nn.Conv1d(4, 6, 5, stride=2), (4, 23)),
    "1-d, few positions": lambda: (nn.Conv1d(48, 48, 3, padding=1), (48, 3)),
    "3-d": lambda: (nn.Conv3d(2, 4, (3, 2, 1), padding=(1, 0, 0)), (2, 4, 5, 3)),
    "3-d, few positions": lambda: (nn.Conv3d(24, 24, 3, padding=1), (24, 2, 1, 1)),
    "transposed": lambda: (nn.ConvTranspose2d(6, 4, 3, stride=2, output_padding=1), (6, 4, 4)),
    "no bias": lambda: (nn.Conv2d(3, 5, 1, bias=False), (3, 6, 6)),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_equal_torch_func(kind: str) -> None:
    torch.manual_seed(0)
    layer, shape = CONVOLUTIONS[kind]()
    stem = nn.Conv1d if len(shape) == 2 else nn.Conv2d if len(shape) == 3 else nn.Conv3d
    model = nn.Sequential(
        stem(shape[0], shape[0], 1), nn.Tanh(), layer, nn.Tanh(), nn.Flatten(), nn.LazyLinear(5)
    )
    x, y = torch.randn(N, *shape), torch.randint(0, 5, (N,))
    model(x)
    check(model.double(), x.double(), y)


@pytest.mark.parametrize(
    "kind", ["3x3", "3x3, few positions", "grouped, few positions", "strided, few positions"]
)
@pytest.mark.parametrize("method", ["direct", "pairs"])
def test_both_methods_give_the_same_grams(kind: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cheaper method is chosen by operation count; here each is forced."""
    torch.manual_seed(0)
    layer, shape = CONVOLUTIONS[kind]()
    model = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.LazyLinear(5))
    x, y = torch.randn(N, *shape), torch.randint(0, 5, (N,))
    model(x)
    taken: list[str] = []
    monkeypatch.setattr(weights, "pairs_are_cheaper", lambda *counts: method == "pairs")
    original = weights._pairs
    monkeypatch.setattr(weights, "_pairs", lambda *arguments: taken.append("pairs") or original(*arguments))
    check(model.double(), x.double(), y)
    assert bool(taken) == (method == "pairs")


@pytest.mark.parametrize("method", ["direct", "pairs"])
@pytest.mark.parametrize("outputs", [2, 17], ids=["fewer outputs than samples", "more"])
@pytest.mark.parametrize("held", [1, 1 << 26], ids=["one output at a time", "all at once"])
def test_parts_of_a_weight_are_cut_from_its_gradient(
    method: str, outputs: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "pairs_are_cheaper", lambda *counts: method == "pairs")
    monkeypatch.setattr(weights, "HELD", held)
    torch.manual_seed(0)
    use = Products(torch.randn(N, 5, outputs), torch.randn(N, 5, 8))
    gradient = torch.einsum("ntp,ntq->npq", use.left.double(), use.right.double())
    cuts = [(), (0, 3), (3, 8)]
    for cut, matrix in zip(cuts, weights.weight_grams([use], N, cuts), strict=True):
        rows = gradient[:, :, slice(*cut) if cut else slice(None)].reshape(N, -1)
        torch.testing.assert_close(matrix, rows @ rows.T, rtol=1e-5, atol=1e-5)


def test_the_cheaper_method_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    original = weights._pairs
    monkeypatch.setattr(
        weights, "_pairs", lambda parts, cuts: taken.append(parts[0][0].shape[1]) or original(parts, cuts)
    )
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Flatten(1), nn.Linear(8 * 36, 200), nn.ReLU(), nn.Linear(200, 5)
    )
    record(model, torch.randn(N, 3, 8, 8), torch.randint(0, 5, (N,)))
    assert taken == [1, 1]  # the linear layers of one position; the convolution of 36 is direct


class Tokens(nn.Module):
    """Embedding, layer norm and linear layers over tokens, samples first or second."""

    def __init__(self, first: bool, words: int = 11, width: int = 12) -> None:
        super().__init__()
        self.first = first
        self.words = nn.Embedding(words, width, padding_idx=0)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 20), nn.Linear(20, width, bias=False)
        self.head = nn.Linear(width, 5)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids if self.first else ids.T)
        x = x + self.down(functional.gelu(self.up(self.norm(x))))
        return self.head(x.mean(1 if self.first else 0))


@pytest.mark.parametrize("first", [True, False], ids=["samples first", "sequence first"])
@pytest.mark.parametrize("length", [3, 40])
def test_tokens_equal_torch_func(first: bool, length: int) -> None:
    torch.manual_seed(0)
    model = Tokens(first).double()
    ids = torch.randint(0, 11, (N, length))
    check(model, ids, torch.randint(0, 5, (N,)))


@pytest.mark.parametrize(
    "norm",
    [nn.GroupNorm(2, 6), nn.LayerNorm([6, 5, 5]), nn.GroupNorm(1, 6), nn.InstanceNorm2d(6, affine=True)],
    ids=str,
)
def test_normalisations_equal_torch_func(norm: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 1), norm, nn.ReLU(), nn.Flatten(), nn.Linear(150, 5)).double()
    check(model, torch.randn(N, 3, 5, 5).double(), torch.randint(0, 5, (N,)))


def test_batch_norm_in_eval_mode_equals_torch_func() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(150, 5))
    model.train()(torch.randn(16, 3, 5, 5))
    check(model.double().eval(), torch.randn(N, 3, 5, 5).double(), torch.randint(0, 5, (N,)))


def test_in_train_mode_the_shares_of_the_samples_add_up_to_the_batchs_gradient() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(150, 5)
    ).double()
    x, y = torch.randn(N, 3, 5, 5).double(), torch.randint(0, 5, (N,))
    recording = record(model, x, y)
    value = functional.cross_entropy(model(x), y, reduction="sum")
    gradients = dict(
        zip(
            [name for name, _ in model.named_parameters()],
            torch.autograd.grad(value, model.parameters()),
            strict=True,
        )
    )
    for number in recording.plan.signals:
        square = float(gradients[f"{recording.plan.probes[number].module}.weight"].square().sum())
        assert recording.grams[number, 0].sum() == pytest.approx(square, rel=1e-6)


class Joined(nn.Module):
    """A small dense block: its weights have one part per source."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.GroupNorm(1, 6)
        self.a, self.b, self.head = (
            nn.Conv2d(4, 2, 3, padding=1),
            nn.Conv2d(6, 3, 3, padding=1),
            nn.Linear(9, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.stem(x).tanh()
        second = self.a(first)
        third = self.b(torch.relu(self.norm(torch.cat([first, second], 1))))
        return self.head(torch.cat([first, second, third], 1).mean((2, 3)))


def test_the_parts_of_a_weight_are_its_columns() -> None:
    torch.manual_seed(0)
    model = Joined().double()
    x, y = torch.randn(N, 3, 6, 6).double(), torch.randint(0, 5, (N,))
    recording = check(model, x, y)
    expected = truth(model, x, y)
    plan = recording.plan
    named = {
        (plan.owners[part.layer].module, part.source): plan.probes[part.probe]
        for part in plan.slices
        if plan.probes[part.probe].inputs
    }
    edges = {name: probe.inputs for name, probe in named.items()}
    assert edges == {
        ("b", "stem"): (0, 4), ("b", "a"): (4, 6),
        ("head", "stem"): (0, 4), ("head", "a"): (4, 6), ("head", "b"): (6, 9),
    }  # fmt: skip
    assert [(part.start, part.stop) for part in plan.slices if not plan.probes[part.probe].inputs] == [(0, 4)]
    for part in plan.slices:
        probe = plan.probes[part.probe]
        if not probe.inputs:
            continue
        rows = expected[f"{probe.module}.weight"][:, :, probe.inputs[0] : probe.inputs[1]].reshape(N, -1)
        assert np.allclose(recording.grams[part.probe, 0], (rows @ rows.T).numpy(), rtol=1e-6)
        assert probe.elements(N) == rows.shape[1]


class Repeated(nn.Module):
    """One layer called twice, possibly at two sizes."""

    def __init__(self, layer: nn.Module, between: nn.Module, last: int) -> None:
        super().__init__()
        self.layer, self.between, self.head = layer, between, nn.Linear(last, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.between(self.layer(x).tanh())).flatten(1))


REPEATED: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]] = {
    "linear": lambda: (Repeated(nn.Linear(4, 4), nn.Identity(), 4), (4,)),
    "linear, many positions": lambda: (Repeated(nn.Linear(4, 4), nn.Identity(), 200), (50, 4)),
    "convolution": lambda: (Repeated(nn.Conv2d(3, 3, 3, padding=1), nn.AvgPool2d(2), 48), (3, 8, 8)),
    "grouped, few positions": lambda: (
        Repeated(nn.Conv2d(64, 64, 3, padding=1, groups=2), nn.Identity(), 64), (64, 1, 1),
    ),
    "transposed": lambda: (Repeated(nn.ConvTranspose2d(3, 3, 2, stride=2), nn.AvgPool2d(4), 48), (3, 4, 4)),
    "layer norm": lambda: (Repeated(nn.LayerNorm(6), nn.Identity(), 6), (6,)),
}  # fmt: skip


@pytest.mark.parametrize("kind", REPEATED)
def test_a_weight_used_twice_has_the_sum_of_its_uses(kind: str) -> None:
    """Neither one gradient per use nor the sum of two Grams: the cross terms are included."""
    torch.manual_seed(0)
    model, shape = REPEATED[kind]()
    x, y = torch.randn(N, *shape).double(), torch.randint(0, 5, (N,))
    recording = check(model.double(), x, y)
    assert [recording.plan.probes[number].name.split(":")[0] for number in recording.plan.signals] == [
        "layer",
        "head",
    ]
    assert recording.plan.probes[recording.plan.signals[0]].name.endswith(" weight, 2 uses")
    assert not [text for text in warnings_alone(recording) if "more than once" in text]


class TiedLanguage(nn.Module):
    """The words' embedding is the last layer's weight, as in most language models."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.body = nn.Embedding(7, 4), nn.Linear(4, 4)

    def forward(self, ids: Tensor) -> Tensor:
        return functional.linear(self.body(self.words(ids)).tanh(), self.words.weight).mean(1)


class TiedAutoencoder(nn.Module):
    """Encoder and decoder share a weight, one reading it transposed."""

    def __init__(self, tokens: bool) -> None:
        super().__init__()
        self.code, self.tokens = nn.Linear(6, 3, bias=False), tokens

    def forward(self, x: Tensor) -> Tensor:
        back = functional.linear(self.code(x).tanh(), self.code.weight.t())
        return back.mean(1) if self.tokens else back


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (TiedLanguage(), torch.randint(0, 7, (N, 3), generator=torch.Generator().manual_seed(1))),
        (TiedLanguage(), torch.randint(0, 7, (N, 50), generator=torch.Generator().manual_seed(1))),
        (TiedAutoencoder(False), torch.randn(N, 6, generator=torch.Generator().manual_seed(1))),
        (TiedAutoencoder(True), torch.randn(N, 40, 6, generator=torch.Generator().manual_seed(1))),
    ],
    ids=["language", "language, long", "autoencoder", "autoencoder of tokens"],
)
def test_a_weight_shared_by_two_kinds_of_layers_has_the_sum(model: nn.Module, inputs: Tensor) -> None:
    model = model.double()
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    targets = torch.arange(N) % 5
    recording = record(model, inputs, targets)
    expected = truth(model, inputs, targets)
    name = next(name for name in expected if "body" not in name)
    number = recording.plan.signals[0]
    assert len(recording.plan.probes[number].uses) == 2
    rows = expected[name].reshape(N, -1)
    assert np.allclose(recording.grams[number, 0], (rows @ rows.T).numpy(), rtol=1e-9, atol=1e-12)
    assert len(recording.plan.signals) == len([name for name in expected if name.endswith("weight")])


def test_parts_of_one_parameter_are_separate_weights() -> None:
    """Cross-attention keeps its three projections in one parameter."""

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.attention(x, x.flip(1), x * 2)[0].mean(1))

    torch.manual_seed(0)
    model = Attending().double()
    x, y = torch.randn(N, 3, 4).double(), torch.randint(0, 5, (N,))
    recording, expected = record(model, x, y), truth(model, x, y)
    parts = expected["attention.in_proj_weight"].chunk(3, 1)
    query, key, value, *_ = recording.plan.signals
    for number, part in zip((query, key, value), parts, strict=True):
        rows = part.reshape(N, -1)
        assert np.allclose(recording.grams[number, 0], (rows @ rows.T).numpy(), rtol=1e-9, atol=1e-14)


def test_a_use_without_a_path_to_the_loss_is_not_waited_for() -> None:
    class Side(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            aside = StopGradient.apply(self.layer(x))
            return self.head(self.layer(x).tanh() + aside)

    torch.manual_seed(0)
    model = Side().double()
    x, y = torch.randn(N, 4).double(), torch.randint(0, 5, (N,))
    recording = record(model, x, y)
    (number, _) = recording.plan.signals
    assert len(recording.plan.probes[number].uses) == 2
    value = functional.cross_entropy(model(x), y, reduction="sum")
    (gradient,) = torch.autograd.grad(value, [model.layer.weight])
    assert recording.grams[number, 0].sum() == pytest.approx(float(gradient.square().sum()), rel=1e-9)


class StopGradient(torch.autograd.Function):
    """In the graph, but passes no gradient on."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> None:  # type: ignore[override]
        return None


class WrittenOutNorm(nn.Module):
    """An RMS norm without its own node, as language models write it, with a cast."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.float64)
        return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.RMSNorm(6), (3, 6)), (nn.RMSNorm([3, 6]), (3, 6)), (RmsNorm2d(6), (6, 4, 4)),
        (RmsNorm(6), (4, 4, 6)), (WrittenOutNorm(6), (3, 6)), (SimpleNorm(6), (3, 6)),
    ],
    ids=["RMSNorm", "RMSNorm of two axes", "timm 2d", "timm", "by hand", "timm SimpleNorm"],
)  # fmt: skip
def test_rms_norms_equal_torch_func(norm: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(norm, nn.Tanh(), nn.Flatten(), nn.Linear(math.prod(shape), 5))
    model.insert(0, nn.Linear(shape[-1], shape[-1]))
    check(model.double(), torch.randn(N, *shape).double(), torch.randint(0, 5, (N,)))


def test_an_rms_norm_used_twice_has_the_sum_of_its_uses() -> None:
    torch.manual_seed(0)
    repeated = Repeated(nn.RMSNorm(6), nn.Identity(), 18)
    model = nn.Sequential(nn.Linear(6, 6), repeated).double()
    recording = check(model, torch.randn(N, 3, 6).double(), torch.randint(0, 5, (N,)))
    assert [len(recording.plan.probes[number].uses) for number in recording.plan.signals] == [0, 2, 0]


def test_a_weight_read_by_another_operation_is_reported() -> None:
    """Applied to the inputs, an RMS norm leaves only a product in the graph, as any gain does."""
    torch.manual_seed(0)
    model = Repeated(nn.RMSNorm(6), nn.Linear(6, 6), 18)
    recording = record(model, torch.randn(N, 3, 6), torch.randint(0, 5, (N,)))
    assert recording.meta["partly_seen"] == ["layer"]
    (warning,) = [text for text in warnings_alone(recording) if "read by other operations" in text]
    assert "1 weights are also read by other operations (layer)" in warning


def test_another_gain_is_no_normalisation() -> None:
    """A layer scale is a parameter that is multiplied in, but no weight of a layer or norm."""
    model = nn.Sequential(nn.Linear(6, 6), LayerScale(6), nn.Linear(6, 5))
    recording = record(model, torch.randn(N, 6), torch.randint(0, 5, (N,)))
    assert [recording.plan.probes[number].module for number in recording.plan.signals] == ["0", "2"]


def test_weights_of_unknown_layers_are_named() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag, self.head = nn.EmbeddingBag(7, 4), nn.Linear(4, 5)

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.bag(ids))

    recording = record(Net(), torch.randint(0, 7, (N, 3)), torch.randint(0, 5, (N,)))
    assert recording.meta["unseen_layers"] == ["bag"]


def test_a_frozen_weight_has_no_signal() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 5))
    model[0].weight.requires_grad_(False)
    recording = record(model, torch.randn(N, 4), torch.randint(0, 5, (N,)))
    assert [recording.plan.probes[number].module for number in recording.plan.signals] == ["2"]


def test_half_precision_is_widened() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    x, y = torch.randn(N, 3, 8, 8), torch.randint(0, 5, (N,))

    def step(model: nn.Module, batch: Any) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return functional.cross_entropy(model(batch[0]).float(), batch[1])

    half = gl.capture(model, [(x, y)], step=step, space="weights", costs=False)
    full = record(model, x, y)
    assert [p.module for p in half.plan.weight_probes.values()] == [
        p.module for p in full.plan.weight_probes.values()
    ]
    for number in full.plan.signals:
        ratio = half.energies[half.plan.signals[full.plan.signals.index(number)]] / full.energies[number]
        assert ratio == pytest.approx(1.0, rel=0.1)


def test_checkpointing_is_refused_in_weight_space() -> None:
    class Checked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(checkpoint(self.body, self.stem(x), use_reentrant=False))

    with pytest.raises(GradlensError, match="turn checkpointing off"):
        record(Checked(), torch.randn(N, 4), torch.randint(0, 5, (N,)))


def test_an_embedding_scaled_by_frequency_is_refused() -> None:
    model = nn.Sequential(nn.Embedding(7, 4, scale_grad_by_freq=True), nn.Flatten(), nn.Linear(12, 5))
    with pytest.raises(GradlensError, match="scale_grad_by_freq"):
        record(model, torch.randint(0, 7, (N, 3)), torch.randint(0, 5, (N,)))


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(GradlensError, match="space='layers' is not known; use one of activations, weights"):
        gl.capture(nn.Linear(2, 2), [], space="layers")


def test_the_cost_is_reported_before_any_gradient() -> None:
    """By hand: two linear layers of one position and a convolution of 36."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Flatten(1), nn.Linear(288, 200), nn.ReLU(), nn.Linear(200, 5)
    )
    calls: list[tuple[str, int]] = []
    data = [(torch.randn(N, 3, 8, 8), torch.randint(0, 5, (N,)))]
    recording = gl.capture(
        model,
        data,
        space="weights",
        costs=False,
        progress=lambda what, done, total: calls.append((what, done)),
    )
    predicted = forecast(recording.plan, N)
    conv, first, second = 216 * N * (36 + N), 36 * (288 + 200), 36 * (200 + 5)
    assert predicted.weights == conv + first + second
    assert predicted.step == 3 * N * (36 * 216 + 288 * 200 + 200 * 5)
    assert calls[0][0].startswith("weight space takes about ")
    assert [done for _, done in calls] == [0, 1]


class Token:
    """Lives as long as the graph's node that carries it."""


class Carrying(torch.autograd.Function):
    """The identity; its node carries a token."""

    tokens: ClassVar[list[weakref.ref[Token]]] = []

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.token = Token()
        Carrying.tokens.append(weakref.ref(ctx.token))
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient


@pytest.mark.parametrize("fails", [False, True])
def test_no_graph_is_kept_alive(fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node is kept for its saved tensors while it waits, and released once it has run or cannot run."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    Carrying.tokens.clear()

    def step(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model[1:](Carrying.apply(model[0](batch[0]))), batch[1])

    if fails:
        monkeypatch.setattr(accumulator, "weight_grams", lambda *_, **__: pytest.fail("at the first layer"))
    batch = (torch.randn(N, 3, 8, 8), torch.randint(0, 5, (N,)))
    gc.collect()
    gc.disable()
    try:
        try:
            gl.capture(model, [batch, batch], step=step, space="weights", costs=False)
        except pytest.fail.Exception:
            assert fails
        assert len(Carrying.tokens) >= 2
        assert all(token() is None for token in Carrying.tokens)
    finally:
        gc.enable()


def test_a_recording_of_weights_is_saved_and_loaded(tmp_path: Any) -> None:
    recording = record(Joined(), torch.randn(N, 3, 6, 6), torch.randint(0, 5, (N,)))
    loaded = gl.Recording.load(recording.save(tmp_path / "w.safetensors"))
    assert loaded.plan == recording.plan
    assert np.array_equal(loaded.grams, recording.grams, equal_nan=True)


def test_gram_of_rows_is_the_definition() -> None:
    rows = torch.randn(4, 3, 2)
    assert torch.allclose(gram(rows.reshape(4, -1), 1, 4), torch.einsum("aij,bij->ab", rows, rows).double())
