"""The loss signal: the gradient at every output that the loss reads, against the loss as a function of its inputs."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl

N = 6
Named = namedtuple("Named", ["loss", "logits"])


@dataclass
class Output:
    loss: Tensor
    logits: Tensor


class Labelled(nn.Module):
    """Returns its loss and its logits, packed by ``pack(loss, logits)``."""

    def __init__(self, pack: Callable[[Tensor, Tensor], object]) -> None:
        super().__init__()
        self.pack, self.body, self.head = pack, nn.Linear(5, 7), nn.Linear(7, 4)

    def logits(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(x)))

    def forward(self, x: Tensor, labels: Tensor) -> object:
        logits = self.logits(x)
        return self.pack(functional.cross_entropy(logits, labels), logits)


class Several(nn.Module):
    """Features, an auxiliary head on them and a head behind another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.aux = nn.Linear(5, 7), nn.Linear(7, 4)
        self.deep, self.head = nn.Linear(7, 7), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = torch.tanh(self.body(x))
        return self.head(torch.tanh(self.deep(features))), self.aux(features), features


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(N, 5, dtype=torch.float64, generator=draw)
    return x, torch.randint(0, 4, (N,), generator=draw)


def expected(loss: Callable[..., Tensor], *outputs: Tensor) -> np.ndarray:
    """Return the Gram of the summed loss as a function of the outputs, ``[n, n]``."""
    leaves = [output.detach().requires_grad_() for output in outputs]
    rows = torch.cat([grad.reshape(N, -1) for grad in torch.autograd.grad(loss(*leaves), leaves)], 1) * N
    return (rows @ rows.T).numpy()


def recorded(model: nn.Module, step: Callable[[Any, Any], Tensor], **options: Any) -> gl.Recording:
    return gl.capture(model, [batch()], step=step, costs=False, **options)


def close(recording: gl.Recording, gram: np.ndarray) -> None:
    assert recording.loss_gram is not None, recording.no_loss
    np.testing.assert_allclose(recording.loss_gram[0], gram, rtol=1e-9, atol=1e-12)


PACKED = {
    "tuple": (lambda loss, logits: (loss, logits), lambda out: out[0]),
    "logits first": (lambda loss, logits: (logits, loss), lambda out: out[1]),
    "dict": (lambda loss, logits: OrderedDict(loss=loss, logits=logits), lambda out: out["loss"]),
    "dataclass": (Output, lambda out: out.loss),
    "named tuple": (Named, lambda out: out.loss),
    "attributes": (lambda loss, logits: SimpleNamespace(loss=loss, logits=logits), lambda out: out.loss),
    "nested": (lambda loss, logits: {"all": [(loss, {"logits": logits})]}, lambda out: out["all"][0][0]),
    "one element": (lambda loss, logits: (loss.reshape(1), logits), lambda out: out[0].sum()),
    "loss alone": (lambda loss, logits: loss, lambda out: out),
}


@pytest.mark.parametrize("form", PACKED)
def test_a_loss_among_the_outputs_is_not_an_output(form: str) -> None:
    pack, unpack = PACKED[form]
    model, (x, labels) = Labelled(pack).double(), batch()
    recording = recorded(model, lambda m, b: unpack(m(*b)))
    close(recording, expected(lambda logits: functional.cross_entropy(logits, labels), model.logits(x)))


def test_losses_of_samples_are_not_an_output() -> None:
    model, (x, labels) = Labelled(lambda _, logits: logits).double(), batch()

    class PerSample(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            logits = self.inner(x, labels)
            return functional.cross_entropy(logits, labels, reduction="none"), logits

    weights = torch.linspace(0.5, 1.5, N, dtype=torch.float64)
    recording = recorded(PerSample().double(), lambda m, b: (m(*b)[0] * weights).mean())

    def loss(logits: Tensor) -> Tensor:
        return (functional.cross_entropy(logits, labels, reduction="none") * weights).mean()

    close(recording, expected(loss, model.logits(x)))


def test_every_output_that_the_loss_reads_counts() -> None:
    model, (x, labels) = Several().double(), batch()

    def loss(logits: Tensor, aux: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels) + 0.4 * functional.cross_entropy(aux, labels)

    recording = recorded(model, lambda m, b: loss(*m(b[0])[:2]))
    logits, aux, _ = model(x)
    close(recording, expected(loss, logits, aux))
    assert len(recording.plan.outputs) == 2


def test_an_output_that_the_loss_does_not_read_does_not_count() -> None:
    model, (x, labels) = Several().double(), batch()
    recording = recorded(model, lambda m, b: functional.cross_entropy(m(b[0])[0], b[1]))
    close(recording, expected(lambda logits: functional.cross_entropy(logits, labels), model(x)[0]))


def test_features_count_with_what_the_loss_reads_of_them_directly() -> None:
    model, (x, labels) = Several().double(), batch()

    def loss(logits: Tensor, features: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels) + features.pow(2).mean()

    def step(m: Several, b: tuple[Tensor, Tensor]) -> Tensor:
        logits, _, features = m(b[0])
        return loss(logits, features)

    logits, _, features = model(x)
    close(recorded(model, step), expected(loss, logits, features))


def test_features_that_the_loss_reads_twice_beside_the_network_give_a_reason() -> None:
    def step(m: Several, b: tuple[Tensor, Tensor]) -> Tensor:
        logits, _, features = m(b[0])
        return functional.cross_entropy(logits, b[1]) + features.pow(2).mean() + features.abs().mean()

    recording = recorded(Several().double(), step)
    assert recording.loss_gram is None
    assert "several times" in recording.no_loss


def test_several_calls_of_the_model_in_one_step() -> None:
    model, (x, _) = Labelled(lambda _, logits: logits).double(), batch()

    def loss(first: Tensor, second: Tensor) -> Tensor:
        return functional.cross_entropy(first @ second.T, torch.arange(N)) + (first - second).pow(2).mean()

    def step(m: Labelled, b: tuple[Tensor, Tensor]) -> Tensor:
        return loss(m(*b), m(b[0].flip(1), b[1]))

    close(recorded(model, step), expected(loss, model.logits(x), model.logits(x.flip(1))))


def test_an_output_that_the_model_reads_again_belongs_to_the_later_call() -> None:
    model = nn.Sequential(nn.Linear(5, 5), nn.Tanh()).double()
    recording = recorded(model, lambda m, b: m(m(m(b[0]))).pow(2).mean())
    close(recording, expected(lambda out: out.pow(2).mean(), model(model(model(batch()[0])))))


def test_a_model_inside_a_module_that_returns_its_loss() -> None:
    class Wrapped(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.criterion = inner, nn.CrossEntropyLoss()

        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            logits, aux, _ = self.inner(x)
            return self.criterion(logits, labels) + 0.3 * self.criterion(aux, labels)

    inner, (x, labels) = Several().double(), batch()
    recording = recorded(Wrapped(inner).double(), lambda m, b: m(*b))

    def loss(logits: Tensor, aux: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels) + 0.3 * functional.cross_entropy(aux, labels)

    close(recording, expected(loss, *inner(x)[:2]))


def test_a_model_without_an_output_and_a_last_layer_has_a_reason() -> None:
    class Tail(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.tanh(self.first(x))
            return (x + torch.tanh(self.second(x))).pow(2).mean()

    recording = recorded(Tail().double(), lambda m, b: m(b[0]))
    assert recording.loss_gram is None
    assert "return the logits" in recording.no_loss
    frame = gl.analyze(recording).tables["duplication"].frame
    given = frame[frame.version.str.endswith("given loss")]
    assert len(given)
    assert (given.reason == recording.no_loss).all()
    assert any(recording.no_loss in note for note in gl.analyze(recording).warnings)


def test_the_outputs_survive_a_file(tmp_path: Any) -> None:
    def step(m: Several, b: tuple[Tensor, Tensor]) -> Tensor:
        logits, aux, _ = m(b[0])
        return functional.cross_entropy(logits, b[1]) + functional.cross_entropy(aux, b[1])

    recording = recorded(Several().double(), step)
    loaded = gl.Recording.load(recording.save(tmp_path / "outputs.safetensors"))
    assert loaded.plan.outputs == recording.plan.outputs
    np.testing.assert_array_equal(loaded.loss_gram, recording.loss_gram)


class LossVector(nn.Module):
    """Returns its losses as one vector, written entry by entry as in ultralytics, and a detached copy."""

    def __init__(self, made: str) -> None:
        super().__init__()
        self.made = made
        self.body, self.box, self.cls = nn.Linear(5, 7), nn.Linear(7, 8), nn.Linear(7, 4)
        self.bins = torch.arange(4.0, dtype=torch.float64)  # no buffer: of the loss

    def outputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.relu(self.body(x))
        return self.box(features), self.cls(features)

    def loss(self, box: Tensor, scores: Tensor, labels: Tensor) -> list[Tensor]:
        expected = box.view(len(box), 2, 4).softmax(2).matmul(self.bins)
        return [(expected - 1).square().mean(), functional.cross_entropy(scores, labels), box.square().mean()]

    def forward(self, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        losses = self.loss(*self.outputs(x), labels)
        if self.made == "stacked":
            vector = torch.stack(losses)
        else:
            vector = torch.zeros(3, dtype=torch.float64)
            for index, value in enumerate(losses):
                vector[index] = value
        return vector * len(x), vector.detach()


@pytest.mark.parametrize("made", ["stacked", "written"])
@pytest.mark.parametrize("read", ["summed", "taken apart"])
def test_a_vector_of_losses_is_no_output_and_the_last_layers_are(made: str, read: str) -> None:
    torch.manual_seed(0)
    model, (x, labels) = LossVector(made).double(), batch()

    def step(m: LossVector, b: tuple[Tensor, Tensor]) -> Any:
        vector = m(*b)[0]
        return vector.sum() if read == "summed" else dict(zip("abc", vector.unbind(), strict=True))

    recording = recorded(model, step)
    box, scores = model.outputs(x)
    close(recording, expected(lambda *outputs: sum(model.loss(*outputs, labels)) * N, box, scores))
    assert len(recording.plan.outputs) == 2
    assert [signal.name for signal in recording.signals] == ["body", "box", "cls"]


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("shape", [(4,), (4, 3)])
def test_a_product_by_a_constant_of_the_loss_is_no_layer(inside: bool, shape: tuple[int, ...]) -> None:
    constant = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(5, 4)

        def forward(self, x: Tensor) -> Tensor:
            logits = self.fc(x)
            return (logits @ constant).square().mean() if inside else logits

    recording = recorded(
        Net().double(), lambda m, b: m(b[0]) if inside else (m(b[0]) @ constant).square().mean()
    )
    assert [signal.name for signal in recording.signals] == ["fc"]


@pytest.mark.parametrize("held", ["frozen parameter", "buffer"])
def test_a_product_by_a_constant_of_the_model_stays_a_layer(held: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(5, 4)
            weight = torch.rand(4, 3)
            if held == "buffer":
                self.register_buffer("last", weight)
            else:
                self.last = nn.Parameter(weight, requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.fc(x)) @ self.last

    recording = recorded(Net().double(), lambda m, b: m(b[0]).square().mean())
    assert [signal.name for signal in recording.signals] == ["fc", "(model)"]


def test_a_fixed_network_of_the_loss_adds_no_layers() -> None:
    fixed = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double().requires_grad_(False)
    model = nn.Sequential(nn.Linear(5, 4)).double()
    recording = recorded(model, lambda m, b: fixed(m(b[0])).square().mean())
    assert [signal.name for signal in recording.signals] == ["0"]
