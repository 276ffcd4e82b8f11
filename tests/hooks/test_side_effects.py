"""A capture leaves model, batch and random state as they were, and measures what one untouched pass gives."""

from __future__ import annotations

import collections
import copy
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


def pairs(count: int = 1) -> list[tuple[Tensor, Tensor]]:
    torch.manual_seed(1)
    return [(torch.randn(N, 6), torch.randint(0, 5, (N,))) for _ in range(count)]


def gram_at(layer: nn.Module, loss: Callable[[], Tensor]) -> np.ndarray:
    """Gram of the gradient at the output of a layer, by plain autograd."""
    outputs: list[Tensor] = []

    def keep(module: nn.Module, args: object, output: Tensor) -> Tensor:
        output.retain_grad()
        outputs.append(output)
        return output

    hook = layer.register_forward_hook(keep)
    loss().backward()
    hook.remove()
    gradient = outputs[0].grad.flatten(1).double() * N
    return (gradient @ gradient.T).numpy()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 5)

    def before(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.first(self.before(x))))


class InPlace(Net):
    def before(self, x: Tensor) -> Tensor:
        return x.sub_(0.5).div_(0.25)


def test_a_network_that_changes_its_input_is_measured_on_the_untouched_batch():
    (x, y) = pairs()[0]
    net, clean = InPlace(), x.clone()
    recording = gl.capture(net, [(x, y)])
    assert torch.equal(x, clean)
    expected = gram_at(net.first, lambda: functional.cross_entropy(net(clean.clone()), y))
    np.testing.assert_allclose(recording.signal_grams[0, 0], expected, rtol=1e-4)


class Bag(collections.UserDict):
    """A batch as tokenisers return it."""


@pytest.mark.parametrize("kind", [dict, Bag, collections.OrderedDict])
def test_a_step_may_take_its_batch_apart(kind):
    batches = [kind(x=x, labels=y, extra=[x]) for x, y in pairs(3)]

    def step(model: nn.Module, batch: Any) -> Tensor:
        y = batch.pop("labels")
        batch["extra"].clear()
        return functional.cross_entropy(model(batch["x"]), y)

    recording = gl.capture(Net(), batches, step=step, throughput=1)
    assert recording.costs is not None
    assert recording.throughput
    assert all(set(batch) == {"x", "labels", "extra"} and len(batch["extra"]) == 1 for batch in batches)


class Stateful(Net):
    """Keeps its state from call to call in every kind of attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: Any = 0
        self.calls = 0
        self.seen: list[Tensor] = []
        self.table: dict[str, Any] = {"last": None}
        self.recent: collections.deque[int] = collections.deque([7], maxlen=2)
        self.queue = torch.zeros(3)

    def before(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen.append(x.detach())
        self.table["last"] = len(x)
        self.recent.append(self.calls)
        self.queue[0] += 1
        x = x + self.hidden
        self.hidden = 0.1 * x.detach()
        self.made_here = True
        return x


def test_plain_attributes_of_modules_are_restored_and_carried_from_batch_to_batch():
    net, batches = Stateful(), pairs(2)
    recording = gl.capture(net, batches)
    assert (net.hidden, net.calls, net.seen, net.table) == (0, 0, [], {"last": None})
    assert list(net.recent) == [7]
    assert net.queue.tolist() == [0, 0, 0]
    assert not hasattr(net, "made_here")
    plain = Stateful()
    for index, (x, y) in enumerate(batches):
        expected = gram_at(plain.first, lambda x=x, y=y: functional.cross_entropy(plain(x), y))
        np.testing.assert_allclose(recording.signal_grams[0, index], expected, rtol=1e-4)


class Average(Net):
    """Has an encoder that follows the other one at each call, through ``data``."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Linear(6, 8)

    def before(self, x: Tensor) -> Tensor:
        self.slow.weight.data = 0.5 * self.slow.weight.data + 0.5 * self.first.weight.data
        with torch.no_grad():
            self.last.bias.add_(1.0)
        return x


@pytest.mark.parametrize("whole", [False, True], ids=["after a dry pass", "without one"])
def test_parameters_that_forward_changes_are_restored(whole):
    net = Average()
    before = copy.deepcopy(net.state_dict())

    def step(model: nn.Module, batch: Any) -> Tensor:
        return functional.cross_entropy(model(batch[0]), batch[1])

    batches = pairs(2)
    if whole:
        batches = [(x, y, object.__new__(type("Odd", (), {}))) for x, y in batches]  # type: ignore[misc]
    gl.capture(net, batches, step=step)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_an_embedding_with_a_largest_norm_is_restored():
    net = nn.Sequential(nn.Embedding(50, 8, max_norm=1.0), nn.Flatten(), nn.Linear(48, 5))
    before = net[0].weight.detach().clone()
    gl.capture(net, [(torch.randint(0, 50, (N, 6)), torch.randint(0, 5, (N,)))])
    assert torch.equal(net[0].weight, before)


def test_a_parameter_that_changes_in_a_later_batch_only_is_refused():
    net, calls = Net(), []

    def step(model: nn.Module, batch: Any) -> Tensor:
        calls.append(len(batch[0]))
        if len(calls) > 2:
            with torch.no_grad():
                model.last.bias.add_(1.0)
        return functional.cross_entropy(model(batch[0]), batch[1])

    with pytest.raises(GradlensError, match=r"changed last.bias in a later batch only"):
        gl.capture(net, pairs(2), step=step, costs=False)


class Ring(Net):
    """A graph network whose edges belong to the model: it takes whole batches only."""

    def __init__(self, error: type[Exception] | None = None) -> None:
        super().__init__()
        self.error = error
        self.register_buffer("edges", torch.stack([torch.arange(N), torch.arange(N).roll(1)]))

    def before(self, x: Tensor) -> Tensor:
        if self.error is not None and len(x) != N:
            raise self.error("whole batches only")
        messages = x[self.edges[0]]
        return x + torch.zeros_like(x).index_add(0, self.edges[1], messages)


@pytest.mark.parametrize("error", [None, AssertionError, KeyError, IndexError, NotImplementedError])
def test_a_network_that_takes_whole_batches_only_is_captured(error):
    net, (x, y) = Ring(error), pairs()[0]
    recording = gl.capture(net, [(x, y)])
    expected = gram_at(net.first, lambda: functional.cross_entropy(net(x), y))
    np.testing.assert_allclose(recording.signal_grams[0, 0], expected, rtol=1e-4)


class Adjacent(Net):
    def __init__(self, adjacency: Tensor) -> None:
        super().__init__()
        self.adjacency = adjacency

    def before(self, x: Tensor) -> Tensor:
        return torch.sparse.mm(self.adjacency, x)


@pytest.mark.filterwarnings("ignore:Sparse .* tensor support is in beta")
@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_sparse_tensors_do_not_end_the_counting_of_costs(layout):
    eye = torch.eye(N)
    recording = gl.capture(Adjacent(eye.to_sparse() if layout == "coo" else eye.to_sparse_csr()), pairs())
    assert recording.costs is not None
    words = nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Flatten(), nn.Linear(48, 5))
    batch = (torch.randint(0, 50, (N, 6)), torch.randint(0, 5, (N,)))
    assert gl.capture(words, [batch]).costs is not None


def test_a_gradient_penalty_is_captured_and_costs_that_cannot_be_counted_are_a_note():
    def step(model: nn.Module, batch: Any) -> Tensor:
        x = batch[0].clone().requires_grad_()
        loss = functional.cross_entropy(model(x), batch[1])
        (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
        return loss + gradient.square().sum()

    recording = gl.capture(Net(), pairs(), step=step)
    assert np.isfinite(recording.signal_grams).any()

    def functional_step(model: nn.Module, batch: Any) -> Tensor:
        inner = torch.func.grad(lambda x: model(x).square().sum())(batch[0])
        return functional.cross_entropy(model(batch[0]), batch[1]) + 0 * inner.detach().sum()

    noted = gl.capture(Net(), pairs(), step=functional_step)
    assert (noted.costs is None) == any("costs could not be counted" in note for note in noted.meta["notes"])


def test_lazy_modules_become_layers_with_fresh_statistics():
    net = nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5))
    batch = (torch.randn(N, 3, 8, 8), torch.randint(0, 5, (N,)))
    assert len(gl.capture(net, [batch]).signals) == 2
    assert int(net[1].num_batches_tracked) == 0
    assert torch.equal(net[1].running_mean, torch.zeros(8))
