"""Operations, sites and their order follow from the graph itself, not from names and numbers alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.errors import GradlensError

N = 8


def batch(*shape: int) -> tuple[Tensor, Tensor]:
    return torch.randn(N, *shape), torch.randint(0, 5, (N,))


def names_of(recording: gl.Recording) -> list[str]:
    return [recording.plan.probes[number].name for number in recording.plan.signals]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.attention(x, x, x)[0].mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.LSTM(8, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.cell(x)[0][:, -1])


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(5 + 4 * i, 4, 3, padding=1) for i in range(4))
        self.last = nn.Linear(21, 5)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, torch.relu(layer(x))], 1)
        return self.last(x.mean(2))


@pytest.mark.parametrize("sites", ["signals", "forks", "all"])
@pytest.mark.parametrize("make", [Attention, Recurrent, Dense])
def test_names_of_signals_are_unique_and_every_choice_of_sites_is_analysed(make, sites):
    torch.manual_seed(0)
    recording = gl.capture(make(), [batch(5, 8)], sites=sites)
    assert max(Counter(names_of(recording)).values(), default=1) == 1
    result = gl.analyze(recording)
    assert result.tables["map_nodes"].frame["site"].is_unique


class Slice(torch.autograd.Function):
    """Has the name of an operation of torch, and none of its attributes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, part: int) -> Tensor:
        ctx.part = part
        return x.chunk(2, 1)[part].clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        whole = gradient.new_zeros(len(gradient), 8)
        whole[:, 4 * ctx.part : 4 * ctx.part + 4] = gradient
        return whole, None


class Cat(Slice):
    """Likewise."""


class Add(Slice):
    """Likewise."""


@pytest.mark.parametrize("function", [Slice, Cat, Add])
def test_a_function_with_the_name_of_an_operation_is_not_taken_for_it(function):
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x)
            return self.last(torch.cat([function.apply(h, 0), function.apply(h, 1)], 1))

    recording = gl.capture(Net(), [batch(6)], sites="all")
    operations = {node.operation for node in recording.plan.graph.nodes}
    assert f"function({function.__name__})" in operations
    assert "splits" not in {group.where for group in recording.plan.groups}
    gl.analyze(recording)


class Late(nn.Module):
    """Reads a view of a tensor that was changed in place: its node is made after that of its reader."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.c, self.f = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x)
        view = h[:, :4]
        h = h.relu_() if self.in_place else h.relu()
        view = view if self.in_place else h[:, :4]
        return self.f(self.c(torch.cat([self.b(view), h[:, 4:]], 1)).mean((2, 3)))


@pytest.mark.parametrize("in_place", [False, True])
def test_depth_follows_the_graph_if_a_view_is_read_after_a_change_of_its_base(in_place):
    recording = gl.capture(Late(in_place), [batch(3, 8, 8)])
    depths = {signal.probe.module: signal.probe.depth for signal in recording.signals}
    assert depths == {"a": 1, "b": 2, "c": 3, "f": 4}
    graph = recording.plan.graph
    rank = {index: position for position, index in enumerate(graph.forward_order)}
    assert all(rank[edge.producer] < rank[edge.consumer] for edge in graph.edges)


class Halved(nn.Module):
    """Unrolls a recurrence whose state has a hook, as reinforcement learning does."""

    def __init__(self, factor: float | None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.factor = factor
        self.first, self.again, self.value = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        h, out = torch.tanh(self.first(x)), torch.zeros(1)
        for _ in range(2):
            out = out + self.value(h)
            h = torch.tanh(self.again(h))
            if self.factor is not None:
                h.register_hook(lambda gradient: gradient * self.factor)
        return out + self.value(h)


def test_a_hook_that_scales_a_gradient_is_measured_and_noted():
    data = batch(6)
    plain, halved = (gl.capture(Halved(factor), [data]) for factor in (None, 0.5))
    assert plain.meta["notes"] == []
    assert "a hook changes the gradient at (model):tanh" in halved.meta["notes"][0]
    net = Halved(0.5)
    hidden: list[Tensor] = []
    hook = net.first.register_forward_hook(lambda m, a, out: (out.retain_grad(), hidden.append(out))[0])
    nn.functional.cross_entropy(net(data[0]), data[1]).backward()
    hook.remove()
    gradient = hidden[0].grad * N
    number = next(signal.number for signal in halved.signals if signal.probe.module == "first")
    assert torch.allclose(torch.tensor(halved.grams[number, 0]).float(), gradient @ gradient.T, rtol=1e-4)
    gl.analyze(halved)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["scripted", "traced", "a scripted part"])
def test_torchscript_is_refused_in_one_sentence(kind):
    net, data = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)), batch(6)
    compiled = torch.jit.trace(net, data[0]) if kind == "traced" else torch.jit.script(net)
    model = nn.Sequential(nn.Linear(6, 6), compiled) if kind == "a scripted part" else compiled
    with pytest.raises(GradlensError, match="is a TorchScript module"):
        gl.capture(model, [data])


class Steps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.RNNCell(1, 4), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        h, total = x.new_zeros(len(x), 4), torch.zeros(1)
        for time in range(x.shape[1]):
            h = self.cell(x[:, time], h)
            total = total + h
        return self.last(total)


def test_a_recurrence_over_many_steps_needs_no_recursion():
    recording = gl.capture(Steps(), [batch(1100, 1)], costs=False)
    assert max(recording.plan.graph.depths) == 1101
