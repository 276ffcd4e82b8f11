"""watch: contributions before accumulation, sums after it, and no hook left."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradlens.graph.nodes import Slot, TensorKey
from gradlens.hooks.recorder import Tap, one_by_one, watch
from gradlens.hooks.walking import walk


def watched(v: Tensor, loss: Tensor) -> tuple[list[Any], dict[int, Tap]]:
    """Return taps on every edge into the node that made ``v``, and on its sum last."""
    nodes, graph = walk([loss.grad_fn], {})  # type: ignore[list-item]
    source = nodes.index(v.grad_fn)
    taps = [Slot(e.consumer, e.slot) for e in graph.edges if e.producer == source]
    return nodes, dict(enumerate([*taps, TensorKey(source, 0)]))


def test_each_branch_delivers_its_contribution_bit_for_bit() -> None:
    x = torch.randn(5, 3, requires_grad=True)
    v = x.exp()
    w = torch.randn(3)
    first, second = v.tanh().sum(), (v * w).sum()
    expected = {
        torch.autograd.grad(term, v, retain_graph=True)[0].numpy().tobytes() for term in (first, second)
    }
    loss = first + second
    nodes, taps = watched(v, loss)
    received: dict[int, Tensor] = {}
    with watch(
        nodes, taps, one_by_one(lambda number, gradient: received.__setitem__(number, gradient.clone()))
    ):
        torch.autograd.grad(loss, x)
    assert {received[0].numpy().tobytes(), received[1].numpy().tobytes()} == expected
    assert torch.equal(received[0] + received[1], received[2])


def test_a_square_delivers_two_contributions_of_half_the_gradient() -> None:
    x = torch.randn(5, 3, requires_grad=True)
    v = x.exp()
    loss = (v * v).sum()
    nodes, taps = watched(v, loss)
    received: dict[int, Tensor] = {}
    with watch(
        nodes, taps, one_by_one(lambda number, gradient: received.__setitem__(number, gradient.clone()))
    ):
        torch.autograd.grad(loss, x)
    assert len(received) == 3
    assert torch.equal(received[0], v)
    assert torch.equal(received[1], v)
    assert torch.equal(received[2], 2 * v)


def test_both_operands_of_an_addition_receive_one_buffer() -> None:
    x = torch.randn(4, requires_grad=True)
    a, b = x.exp(), x.tanh()
    loss = ((a + b) ** 2).sum()
    nodes, graph = walk([loss.grad_fn], {})  # type: ignore[list-item]
    add = next(i for i, node in enumerate(graph.nodes) if node.operation == "Add")
    pointers: list[int] = []
    taps = {0: Slot(add, 0), 1: Slot(add, 1)}
    with watch(nodes, taps, one_by_one(lambda number, gradient: pointers.append(gradient.data_ptr()))):
        torch.autograd.grad(loss, x)
    assert len(pointers) == 2
    assert pointers[0] == pointers[1]


@pytest.mark.parametrize("raises", [False, True])
def test_nothing_is_delivered_after_the_context(raises: bool) -> None:
    x = torch.randn(4, requires_grad=True)
    v = x.exp()
    loss = (v * v).sum()
    nodes, taps = watched(v, loss)
    received: list[int] = []
    try:
        with watch(nodes, taps, one_by_one(lambda number, gradient: received.append(number))):
            if raises:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    torch.autograd.grad(loss, x)
    assert received == []


def test_an_error_of_the_sink_reaches_the_caller_and_hooks_are_gone() -> None:
    def refuse(number: int, gradient: Tensor) -> None:
        raise ValueError("no")

    x = torch.randn(4, requires_grad=True)
    v = x.exp()
    loss = (v * v).sum()
    nodes, taps = watched(v, loss)
    with pytest.raises(ValueError, match="no"), watch(nodes, taps, one_by_one(refuse)):
        torch.autograd.grad(loss, x, retain_graph=True)
    torch.autograd.grad(loss, x)


class Token:
    """Lives exactly as long as the autograd node that carries it."""


class Carries(torch.autograd.Function):
    born: list[weakref.ref[Token]]

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.token = Token()
        Carries.born.append(weakref.ref(ctx.token))
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    Carries.born = []
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_the_graph_is_freed_with_its_last_reference_not_by_the_garbage_collector() -> None:
    x = torch.randn(4, requires_grad=True)
    v = Carries.apply(x)
    loss = (v * v).sum()
    nodes, taps = watched(v, loss)
    with watch(nodes, taps, one_by_one(lambda number, gradient: None)):
        nodes.clear()
        torch.autograd.grad(loss, x)
    assert [token() is not None for token in Carries.born] == [True]
    del v, loss
    assert [token() for token in Carries.born] == [None]


@pytest.mark.usefixtures("no_collector")
def test_hooks_do_not_refer_to_their_node() -> None:
    x = torch.randn(4, requires_grad=True)
    v = Carries.apply(x)
    loss = (v * v).sum()
    nodes, taps = watched(v, loss)
    with watch(nodes, taps, one_by_one(lambda number, gradient: None)):
        nodes.clear()
        del v, loss
        alive = [token() is not None for token in Carries.born]  # the hooks are still registered
    assert alive == [False]


@pytest.mark.usefixtures("no_collector")
def test_the_token_would_notice_a_reference_cycle() -> None:
    x = torch.randn(4, requires_grad=True)
    v = Carries.apply(x)
    loss = (v * v).sum()
    hook = partial(lambda node, grad_inputs, grad_outputs: None, loss.grad_fn)
    loss.grad_fn.register_hook(hook)
    del v, loss, hook
    alive = [token() is not None for token in Carries.born]
    gc.collect()
    assert alive == [True]


def test_modules_get_no_hook() -> None:
    model = nn.Linear(3, 2)
    loss = model(torch.ones(4, 3)).sum()
    nodes, graph = walk([loss.grad_fn], {id(p): name for name, p in model.named_parameters()})
    with watch(nodes, {0: TensorKey(len(graph.nodes) - 1, 0)}, one_by_one(lambda number, gradient: None)):
        assert not model._backward_hooks
        assert not model._forward_hooks
