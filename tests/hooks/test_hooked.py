"""Hooks of a step on its tensors: the numbers are those of a network that scales the gradient by a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.recording import Recording

Program = Callable[[Any, Tensor], Tensor]


class Scale(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


class Net(nn.Module):
    def __init__(self, program: Program) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.left, self.right = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.head, self.program = nn.Linear(8, 5), program

    def forward(self, x: Tensor) -> Tensor:
        return self.program(self, torch.tanh(self.stem(x)))


def branches(net: Net, x: Tensor) -> Tensor:
    return net.head(x + net.left(x).relu() + net.right(x).tanh())


def at_fork(net: Net, x: Tensor) -> Tensor:
    x.register_hook(lambda gradient: gradient * 0.5)
    return branches(net, x)


def after_use(net: Net, x: Tensor) -> Tensor:
    y = branches(net, x)
    x.register_hook(lambda gradient: gradient * 0.5)
    return y


def twice(net: Net, x: Tensor) -> Tensor:
    x.register_hook(lambda gradient: gradient * 2.0)
    x.register_hook(hook=lambda gradient: gradient * 0.25)
    return branches(net, x)


def at_fork_scaled(net: Net, x: Tensor) -> Tensor:
    return branches(net, Scale.apply(x, 0.5))


def at_sum(net: Net, x: Tensor) -> Tensor:
    y = x + net.left(x).relu()
    y.register_hook(lambda gradient: gradient * 0.5)
    return net.head(y + net.right(x).tanh())


def at_sum_scaled(net: Net, x: Tensor) -> Tensor:
    return net.head(Scale.apply(x + net.left(x).relu(), 0.5) + net.right(x).tanh())


def at_part(net: Net, x: Tensor) -> Tensor:
    first, second = x.chunk(2, 1)
    first.register_hook(lambda gradient: gradient * 0.5)
    return branches(net, torch.cat([first, second.relu()], 1))


def at_part_scaled(net: Net, x: Tensor) -> Tensor:
    first, second = x.chunk(2, 1)
    return branches(net, torch.cat([Scale.apply(first, 0.5), second.relu()], 1))


def returning_nothing(net: Net, x: Tensor) -> Tensor:
    x.register_hook(lambda gradient: None)
    torch.autograd.graph.register_multi_grad_hook([x], lambda gradients: None)
    x.retain_grad()
    return branches(net, x)


def record(program: Program, **options: Any) -> Recording:
    torch.manual_seed(1)
    batch = torch.randn(8, 6), torch.arange(8) % 5
    return gl.capture(Net(program), [batch], costs=False, **options)


def shares(recording: Recording) -> list[tuple[str, list[float]]]:
    energies = recording.energies
    return [
        (group.where, [float(energies[list(member)].sum()) for member in group.members])
        for group in recording.plan.groups
    ]


@pytest.mark.parametrize("space", ["activations", "weights"])
@pytest.mark.parametrize(
    ("hooked", "scaled"),
    [
        (at_fork, at_fork_scaled),
        (after_use, at_fork_scaled),
        (twice, at_fork_scaled),
        (at_sum, at_sum_scaled),
        (at_part, at_part_scaled),
    ],
)
def test_a_hook_that_scales_a_gradient_is_measured_as_the_function_that_does(hooked, scaled, space):
    actual, expected = record(hooked, space=space), record(scaled, space=space)
    names = [signal.name for signal in actual.signals]
    assert names == [signal.name for signal in expected.signals]
    for mine, other in zip(actual.signals, expected.signals, strict=True):
        np.testing.assert_allclose(
            actual.grams[mine.number], expected.grams[other.number], rtol=1e-5, atol=1e-9
        )
    for (where, energies), (same, others) in zip(shares(actual), shares(expected), strict=True):
        assert where == same
        np.testing.assert_allclose(energies, others, rtol=1e-5)
    (note,) = actual.meta["notes"]
    assert note.startswith("a hook changes the gradient at (model):")
    tables = gl.analyze(actual).tables.keys() | {"exactness"}  # empty if the only sum is not checked
    assert tables == gl.analyze(expected).tables.keys()


def test_hooks_that_return_nothing_do_not_matter():
    actual, expected = record(returning_nothing), record(branches)
    np.testing.assert_array_equal(actual.grams, expected.grams)
    assert actual.meta["notes"] == []
    assert actual.projected_errors.keys() == expected.projected_errors.keys() != set()


def test_a_hook_of_a_node_is_refused_with_its_site():
    def program(net: Net, x: Tensor) -> Tensor:
        x.grad_fn.register_prehook(lambda gradients: (gradients[0] * 0.5,))
        return branches(net, x)

    with pytest.raises(GradlensError, match=r"at \(model\):tanh do not add up .*register_prehook"):
        record(program)
