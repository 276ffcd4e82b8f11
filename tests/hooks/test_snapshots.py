"""What a network or its step keeps outside of parameters and buffers is as before after a capture."""

from __future__ import annotations

import copy
import random
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gradlens as gl
from gradlens.errors import GradlensError

N = 8


def batches(count: int = 2) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    return [(torch.randn(N, 6), torch.randint(0, 5, (N,))) for _ in range(count)]


class Keeping(nn.Module):
    """Changes what it keeps at each call."""

    def __init__(self, kept: Any, change: Callable[[Any], object]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 5)
        self.kept, self.change = kept, change

    def forward(self, x: Tensor) -> Tensor:
        self.change(self.kept)
        return self.last(torch.relu(self.first(x)))


def state_of(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state().tolist()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.RandomState):
        return value.get_state()[1].tolist(), value.get_state()[2]
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, nn.Module):
        return [tensor.tolist() for tensor in value.state_dict().values()]
    if isinstance(value, list):
        return [state_of(item) for item in value]
    return copy.deepcopy(vars(value)) if hasattr(value, "__dict__") else np.asarray(value).tolist()


class Statistics:
    def __init__(self) -> None:
        self.calls, self.inner = 0, types.SimpleNamespace(means=[], seen={"last": 0})

    def update(self) -> None:
        self.calls += 1
        self.inner.means.append(self.calls)
        self.inner.seen["last"] = self.calls


def moved(teachers: list[nn.Module]) -> None:
    """Move the weights of a teacher that a list hides from ``parameters()``, as a moving average does."""
    for parameter in teachers[0].parameters():
        parameter.data = parameter.data * 0.9
    teachers[0](torch.randn(N, 6))


KEPT = {
    "an array": (lambda: np.zeros(3), lambda value: np.add(value, 1, out=value)),
    "an object": (Statistics, lambda value: value.update()),
    "a generator of torch": (
        lambda: torch.Generator().manual_seed(3),
        lambda value: torch.rand(2, generator=value),
    ),
    "a generator of numpy": (lambda: np.random.default_rng(3), lambda value: value.random(2)),
    "a random state of numpy": (lambda: np.random.RandomState(3), lambda value: value.rand(2)),
    "a generator of python": (lambda: random.Random(3), lambda value: value.random()),
    "a hidden teacher": (lambda: [nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))], moved),
}


@pytest.mark.parametrize("kind", KEPT)
def test_what_a_module_keeps_is_as_before(kind):
    make, change = KEPT[kind]
    net = Keeping(make(), change)
    kept, before = net.kept, state_of(net.kept)
    gl.capture(net, batches())
    assert net.kept is kept
    assert state_of(net.kept) == before


def test_an_object_that_refers_to_itself_is_restored():
    statistics = Statistics()
    statistics.owner = statistics
    gl.capture(Keeping(statistics, lambda value: value.update()), batches())
    assert statistics.calls == 0
    assert statistics.owner is statistics


def test_gradients_of_the_caller_are_set_aside():
    net = Keeping(None, lambda kept: None)
    functional.cross_entropy(net(batches()[0][0]), batches()[0][1]).backward()
    gradients = [parameter.grad for parameter in net.parameters()]
    values = [gradient.clone() for gradient in gradients]

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        loss = functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward(retain_graph=True)
        return loss

    gl.capture(net, batches(), step=step)
    for parameter, gradient, value in zip(net.parameters(), gradients, values, strict=True):
        assert parameter.grad is gradient
        assert torch.equal(gradient, value)


@pytest.mark.parametrize(
    ("retained", "reason"), [(False, "the step runs backward itself"), (True, "optimizer.step")]
)
def test_a_step_that_trains_is_refused_and_leaves_the_weights(retained, reason):
    net = Keeping(None, lambda kept: None)
    before = copy.deepcopy(net.state_dict())
    optimizer = torch.optim.Adam(net.parameters())

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(batch[0]), batch[1])
        loss.backward(retain_graph=retained)
        optimizer.step()
        return loss

    with pytest.raises(GradlensError, match=reason):
        gl.capture(net, batches(), step=step)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


class Cached(nn.Module):
    """Keeps a bias that it computes from a parameter, as the attention of some networks does in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 5)
        self.offsets, self.cache = nn.Parameter(torch.randn(4, 8)), dict[str, Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        if "bias" not in self.cache:
            self.cache["bias"] = self.offsets.tanh().mean(0)  # saves a tensor
        return self.last(torch.relu(self.first(x) + self.cache["bias"]))


def test_a_cache_that_holds_an_earlier_graph_is_filled_anew():
    net = Cached()
    recording = gl.capture(net, batches(3), mode="eval")
    assert recording.costs is not None
    assert not net.cache
    for number, batch in enumerate(batches(3)):
        alone = gl.capture(Cached(), [batch], mode="eval")
        np.testing.assert_array_equal(recording.signal_grams[:, number], alone.signal_grams[:, 0])


def test_a_state_that_keeps_its_graph_is_refused_in_one_line():
    class Stateful(Cached):
        state: Tensor | float = 0.0

        def forward(self, x: Tensor) -> Tensor:
            self.state = torch.tanh(self.first(x) + self.state)
            return self.last(self.state)

    with pytest.raises(GradlensError, match=r"batch 1: .* detach the state"):
        gl.capture(Stateful(), batches())
