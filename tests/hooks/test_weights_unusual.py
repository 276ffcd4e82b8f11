"""Weight space for unusual uses of weights: standardised, cut, transposed, folded, read twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import gradlens as gl
from gradlens.words.warnings import warnings_alone

N = 6


def record(model: nn.Module, inputs: Tensor, space: str = "weights") -> gl.Recording:
    loss: Callable[[Tensor, Tensor], Tensor] = lambda o, t: functional.cross_entropy(o.flatten(1), t)  # noqa: E731
    targets = torch.arange(len(inputs)) % 3
    return gl.capture(model, [(inputs, targets)], loss=loss, space=space, costs=False, mode="keep")


def per_sample(model: nn.Module, inputs: Tensor, name: str) -> Tensor:
    """Return the gradient of one parameter for each sample alone, ``[n, size]``: slow but obviously right."""
    targets = torch.arange(len(inputs)) % 3
    rows = []
    for index in range(len(inputs)):
        output = model(inputs[index : index + 1]).flatten(1)
        value = functional.cross_entropy(output, targets[index : index + 1])
        (gradient,) = torch.autograd.grad(value, [dict(model.named_parameters())[name]])
        rows.append(gradient.flatten())
    return torch.stack(rows)


def check(model: nn.Module, inputs: Tensor, signal: int, name: str) -> None:
    recording = record(model, inputs)
    rows = per_sample(model, inputs, name)
    expected = (rows @ rows.T).detach().numpy()
    gram = recording.grams[recording.plan.signals[signal], 0]
    assert np.allclose(gram, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())


class Cut(nn.Module):
    """A tensor split into two parts and also read whole: three branches."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.stem, self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        whole = self.stem(x).tanh()
        first, second = whole.split(4, 1)
        return self.head((torch.cat([self.one(first), self.two(second)], 1) + whole).mean((2, 3)))


@pytest.mark.parametrize("space", ["activations", "weights"])
def test_a_tensor_that_is_cut_in_two_and_read_whole_is_no_pure_split(space: str) -> None:
    """The cut and the skip are two readers, as many as the parts."""
    recording = record(Cut(), torch.randn(N, 3, 6, 6), space)
    kinds = {(group.where, group.total is None) for group in recording.plan.groups}
    assert ("fork", False) in kinds
    assert ("split", True) in kinds


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixnet_s", "skresnet18", "edgenext_xx_small"])
def test_networks_that_cut_and_skip_are_captured(name: str) -> None:
    model = timm.create_model(name, num_classes=3)
    recording = record(model, torch.randn(N, 3, 64, 64), "activations")
    assert max(float(errors.max()) for errors in recording.projected_errors.values()) < 1e-4


@pytest.mark.parametrize("name", ["eca_nfnet_l0", "resnetv2_50x1_bit"])
def test_standardised_convolutions_are_signals(name: str) -> None:
    """Their weight is a batch norm of the weight: computed from parameters, not from images."""
    model = timm.create_model(name, num_classes=3)
    for space in ("activations", "weights"):
        plan = record(model, torch.randn(4, 3, 32, 32), space).plan
        signals = {plan.probes[number].module for number in plan.signals}
        layers = {path for path, module in model.named_modules() if isinstance(module, nn.Conv2d)}
        assert layers <= signals


def test_a_standardised_convolution_has_the_gradient_of_its_effective_weight() -> None:
    layer = timm.layers.ScaledStdConv2d(3, 8, 3, padding=1)
    model = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(8 * 36, 3)).double()
    inputs = torch.randn(N, 3, 6, 6).double()
    plain = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *model[1:]).double()
    plain[0].bias = layer.bias
    flat = layer.weight.reshape(1, 8, -1)
    norm = functional.batch_norm(
        flat,
        None,
        None,
        weight=(layer.gain * layer.scale).view(-1),
        training=True,
        momentum=0.0,
        eps=layer.eps,
    )
    plain[0].weight = nn.Parameter(norm.reshape_as(layer.weight).detach())
    standardised, expected = record(model, inputs), record(plain, inputs)
    assert np.allclose(
        standardised.grams[standardised.plan.signals[0]], expected.grams[expected.plan.signals[0]], rtol=1e-6
    )


class Joined(nn.Module):
    """A weight stored as ``[in, out]`` that reads two concatenated layers."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Linear(5, 4), nn.Linear(5, 3), nn.Linear(out, 3)
        self.weight = nn.Parameter(torch.randn(7, out) / 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((torch.cat([self.a(x), self.b(x).tanh()], 1) @ self.weight).tanh())


@pytest.mark.parametrize("out", [9, 3])
def test_input_slices_of_a_transposed_weight(out: int) -> None:
    torch.manual_seed(0)
    model, inputs = Joined(out).double(), torch.randn(N, 5).double()
    recording = record(model, inputs)
    rows = per_sample(model, inputs, "weight").reshape(N, 7, out)
    parts = [part for part in recording.plan.slices if recording.plan.probes[part.probe].inputs]
    assert [(part.start, part.stop) for part in parts] == [(0, 4), (4, 7)]
    for part in parts:
        cut = rows[:, part.start : part.stop].reshape(N, -1)
        assert np.allclose(recording.grams[part.probe, 0], (cut @ cut.T).detach().numpy(), rtol=1e-6)


class Exchanged(nn.Module):
    """A convolution, and its weight again with the first two axes exchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(self.layer(x).tanh(), self.layer.weight.transpose(0, 1), padding=1)
        return self.head(x.tanh().mean((2, 3)))


def test_a_convolutions_weight_with_exchanged_axes_is_not_summed_and_is_reported() -> None:
    recording = record(Exchanged(), torch.randn(N, 4, 6, 6))
    assert recording.meta["partly_seen"] == ["layer", "(model)"] or recording.meta["partly_seen"] == [
        "layer",
        "",
    ]
    assert any("also read by other operations" in text for text in warnings_alone(recording))


class Folded(nn.Module):
    """Two images per sample, normalised separately."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(3, 5, 1), nn.InstanceNorm2d(5, affine=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        features = self.norm(self.layer(x.flatten(0, 1))).tanh().square().mean((2, 3))
        return self.head(features.reshape(len(x), -1))


def test_an_instance_norm_over_several_images_per_sample() -> None:
    torch.manual_seed(0)
    check(Folded().double(), torch.randn(N, 2, 3, 5, 5).double(), 1, "norm.weight")


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_channels_last_in_double_precision(groups: int) -> None:
    """In this layout torch's gradient of a grouped convolution's weight is wrong for a part of a batch."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 8, 3, groups=groups), nn.Tanh(), nn.Flatten(),
        nn.Linear(8 * 36, 3),
    ).double()  # fmt: skip
    inputs = torch.randn(N, 3, 10, 10).double()
    plain = record(model, inputs)
    channels_last = record(
        model.to(memory_format=torch.channels_last), inputs.to(memory_format=torch.channels_last)
    )
    for index in range(3):
        assert np.allclose(
            plain.grams[plain.plan.signals[index]],
            channels_last.grams[channels_last.plan.signals[index]],
            rtol=1e-6,
        )


class Aside(nn.Module):
    """A layer whose weight is read once more, by an operation that is no layer."""

    def __init__(self, read: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.head, self.read = nn.Linear(4, 4), nn.Linear(4, 3), read

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x).tanh() * self.read(self.layer.weight))


@pytest.mark.parametrize(
    "read",
    [lambda w: w.sum(1), lambda w: w[:, 0], lambda w: w[0], lambda w: torch.index_select(w, 0, torch.tensor([1]))[0]],
    ids=["sum", "column", "row", "index_select"],
)  # fmt: skip
def test_a_weight_also_read_outside_a_layer_is_reported(read: Callable[[Tensor], Tensor]) -> None:
    assert "layer" in record(Aside(read), torch.randn(N, 4)).meta["partly_seen"]


class Attending(nn.Module):
    """Cross-attention, once or twice."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 3)
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.times):
            x = self.attention(x, x.flip(1), x * 2)[0]
        return self.head(x.mean(1))


def test_a_part_cut_again_at_each_call_is_reported() -> None:
    once, twice = (record(Attending(times), torch.randn(N, 3, 4)) for times in (1, 2))
    assert once.meta["partly_seen"] == []
    assert twice.meta["partly_seen"].count("attention") == 6


def test_a_parametrised_weight_is_reported_only_if_it_is_computed_twice() -> None:
    class Net(nn.Module):
        def __init__(self, times: int) -> None:
            super().__init__()
            self.layer = parametrizations.weight_norm(nn.Linear(4, 4))
            self.head, self.times = nn.Linear(4, 3), times

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(self.times):
                x = self.layer(x).tanh()
            return self.head(x)

    once, twice = (record(Net(times), torch.randn(N, 4)) for times in (1, 2))
    assert (once.meta["partly_seen"], once.meta["unseen_layers"]) == ([], [])
    assert twice.meta["partly_seen"] == ["layer", "layer"]


def test_layers_that_weight_space_cannot_read_are_named_and_tied_ones_are_not() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.both = nn.LSTM(4, 4, batch_first=True), nn.Bilinear(4, 4, 4)
            self.experts = nn.Parameter(torch.randn(2, 4, 4))
            self.normed = parametrizations.spectral_norm(nn.Linear(4, 4))
            self.words, self.out = nn.Embedding(3, 4), nn.Linear(4, 3, bias=False)
            self.out.weight = self.words.weight

        def forward(self, x: Tensor) -> Tensor:
            x = self.rnn(x + self.words(torch.zeros(x.shape[:2], dtype=torch.long)))[0]
            x = self.both(x, x)
            x = torch.einsum("ntc,ecd->ntd", self.normed(x), self.experts)
            return self.out(x.mean(1))

    unseen = record(Net(), torch.randn(N, 3, 4)).meta["unseen_layers"]
    assert "both" in unseen
    assert not {"rnn", "words", "out", "experts", "normed"} & set(unseen)


def test_a_recording_of_the_first_format_is_still_read(save_older: Any) -> None:
    """That format lacks the names of the parameters that a weight is computed from."""
    recording = record(Cut(), torch.randn(N, 3, 6, 6))
    old = save_older(recording, 1)
    loaded = gl.Recording.load(old)
    assert np.array_equal(loaded.grams, recording.grams)
    assert (
        gl.analyze(loaded, tables=["duplication"]).finding
        == gl.analyze(recording, tables=["duplication"]).finding
    )


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_the_weights_of_recurrent_layers_have_the_gradient_of_all_steps(
    kind: type[nn.RNNBase], batch_first: bool
) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.cell, self.last = kind(3, 8, 2, batch_first=batch_first), nn.Linear(8, 5)
            self.double()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.cell(x)[0].mean(1 if batch_first else 0))

    torch.manual_seed(1)
    x, y = torch.randn(*((8, 5) if batch_first else (5, 8)), 3).double(), torch.randint(0, 5, (8,))
    net = Net()
    recording = gl.capture(net, [(x, y)], space="weights")
    signals = {signal.name: signal.number for signal in recording.signals}
    names = ["cell.weight_ih_l0", "cell.weight_hh_l0", "cell.weight_ih_l1", "cell.weight_hh_l1"]
    parameters = [net.get_parameter(name) for name in names]
    rows = [
        torch.autograd.grad(nn.functional.cross_entropy(net(one), y[i : i + 1]), parameters)
        for i, one in enumerate(x.split(1, 0 if batch_first else 1))
    ]
    for name, *gradients in zip(names, *rows, strict=True):
        flat = torch.stack(gradients).flatten(1)
        actual = recording.grams[signals[name.replace("weight_", "")], 0]
        np.testing.assert_allclose(actual, (flat @ flat.T).numpy(), rtol=1e-8, atol=1e-15, err_msg=name)
    assert "cell" not in recording.meta["unseen_layers"]
