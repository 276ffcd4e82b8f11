"""Observe the gradients of one backward pass; the only file that registers gradient hooks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.graph import Node as AutogradNode
from torch.utils.hooks import RemovableHandle

from gradlens.graph.nodes import Slot, TensorKey

Tap = Slot | TensorKey
"""Where a gradient is observed: an input of a node for a contribution, a tensor for its accumulated gradient."""
Arrived = Sequence[tuple[int, Tensor]]
"""Gradients that a node receives or passes back at once, by number of their tap."""
Sink = Callable[[Arrived], None]
"""Receives the gradients of a node; must reduce them at once, not keep them."""
LayerHook = Callable[[AutogradNode, Tensor], None]
"""Called with the live node of a layer, whose saved tensors still exist, and the gradient at its output."""
Gradients = Sequence[Tensor | None]
"""Gradients at the inputs or outputs of a node, as autograd passes them to a hook."""
Hook = Callable[[Gradients, Gradients], None]
Prehook = Callable[[Gradients], None]
Numbered = list[tuple[int, int]]
"""(slot or output, number of the tap) of each tap of a node."""


@contextmanager
def watch(
    nodes: Sequence[AutogradNode],
    taps: Mapping[int, Tap],
    sink: Sink,
    layers: Mapping[int, LayerHook] | None = None,
) -> Iterator[None]:
    """Pass the gradient of every tap to ``sink`` during the backward pass that runs inside the context.

    ``Node.register_hook`` observes the contributions before accumulation, ``register_prehook`` the
    accumulated gradient. No hook refers to a node, because such a cycle would keep the whole graph alive
    until the garbage collector runs. The hooks are removed on leaving, also after an exception.

    Args:
        nodes: live nodes by index, as ``walk`` returned them; may be dropped inside the context.
        taps: where to observe gradients, by number.
        sink: called once per node, on the thread that runs the backward pass.
        layers: functions by node, called with the node when its gradient arrives. The node is held outside
            its hook and released there or on leaving, so no cycle remains.
    """
    if any(map(torch.is_autocast_enabled, ("cpu", "cuda"))):
        sink = _exact(sink)
    live = {index: nodes[index] for index in layers or {}}
    contributions: dict[int, Numbered] = defaultdict(list)
    sums: dict[int, Numbered] = defaultdict(list)
    for number, tap in taps.items():
        node, position = tap
        (contributions if isinstance(tap, Slot) else sums)[node].append((position, number))
    try:
        with _removed() as handles:
            for index, numbered in contributions.items():
                handles.append(nodes[index].register_hook(_contributions(sorted(numbered), sink)))
            for index, numbered in sums.items():
                handles.append(nodes[index].register_prehook(_accumulated(numbered, sink)))
            for index, layer_hook in (layers or {}).items():
                handles.append(nodes[index].register_prehook(_with_node(live, index, layer_hook)))
            yield
    finally:
        live.clear()


@contextmanager
def _removed() -> Iterator[list[RemovableHandle]]:
    """Yield a list for handles of hooks, which are removed on leaving."""
    handles: list[RemovableHandle] = []
    try:
        yield handles
    finally:
        for handle in handles:
            handle.remove()


def one_by_one(receive: Callable[[int, Tensor], None]) -> Sink:
    """Return a sink that passes on each gradient by itself: (number of the tap, gradient)."""

    def sink(arrived: Arrived) -> None:
        for number, gradient in arrived:
            receive(number, gradient)

    return sink


@contextmanager
def cut_off(nodes: Sequence[AutogradNode], slots: Sequence[Slot]) -> Iterator[None]:
    """Let no gradient leave through some inputs of operations in the backward passes that run inside the context.

    Args:
        nodes: live nodes by index; may be dropped inside the context.
        slots: the inputs.
    """
    inputs: dict[int, set[int]] = defaultdict(set)
    for node, slot in slots:
        inputs[node].add(slot)
    with _removed() as handles:
        handles += [nodes[index].register_hook(_zeroed(closed)) for index, closed in inputs.items()]
        yield


@contextmanager
def arriving(tensors: Sequence[Tensor], receive: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Pass the accumulated gradients of tensors to a function, in the backward passes that run inside the context.

    Args:
        tensors: they are not kept; leaves are left out.
        receive: called with (number of the tensor, gradient).
    """
    with _removed() as handles:
        handles += [
            tensor.grad_fn.register_prehook(_accumulated([(tensor.output_nr, number)], one_by_one(receive)))
            for number, tensor in enumerate(tensors)
            if tensor.grad_fn is not None
        ]
        del tensors
        yield


@contextmanager
def observed(
    nodes: Sequence[AutogradNode], receive: Callable[[int, Gradients, Gradients], None]
) -> Iterator[None]:
    """Pass the gradients at the inputs and the outputs of every node to a function, in the passes inside the context.

    Args:
        nodes: live nodes; may be dropped inside the context.
        receive: called with (index of the node, gradients at its inputs, gradients at its outputs).
    """
    with _removed() as handles:
        handles += [node.register_hook(_numbered(index, receive)) for index, node in enumerate(nodes)]
        yield


@contextmanager
def imposed(gradients: Sequence[tuple[AutogradNode, int, Tensor]]) -> Iterator[None]:
    """Replace accumulated gradients in the backward passes that run inside the context.

    Args:
        gradients: live node, number of the output, and its gradient; may be dropped inside the context.
    """
    with _removed() as handles:
        handles += [
            node.register_prehook(_replaced(output, gradient)) for node, output, gradient in gradients
        ]
        yield


def _numbered(index: int, receive: Callable[[int, Gradients, Gradients], None]) -> Hook:
    return lambda grad_inputs, grad_outputs: receive(index, grad_inputs, grad_outputs)


def _replaced(output: int, replacement: Tensor) -> Callable[[Gradients], Gradients]:
    return lambda gradients: tuple(
        replacement if number == output else gradient for number, gradient in enumerate(gradients)
    )


def _zeroed(closed: set[int]) -> Callable[[Gradients, Gradients], Gradients]:
    def hook(grad_inputs: Gradients, grad_outputs: Gradients) -> Gradients:
        return tuple(
            torch.zeros_like(gradient) if slot in closed and gradient is not None else gradient
            for slot, gradient in enumerate(grad_inputs)
        )

    return hook


def _exact(sink: Sink) -> Sink:
    """Return a sink that computes in the precision of the gradients, although the caller's autocast is on."""

    def outside(arrived: Arrived) -> None:
        with torch.autocast(arrived[0][1].device.type, enabled=False):
            sink(arrived)

    return outside


def _contributions(numbered: Numbered, sink: Sink) -> Hook:
    return lambda grad_inputs, grad_outputs: _deliver(numbered, grad_inputs, sink)


def _accumulated(numbered: Numbered, sink: Sink) -> Prehook:
    return lambda grad_outputs: _deliver(numbered, grad_outputs, sink)


def _deliver(numbered: Numbered, gradients: Gradients, sink: Sink) -> None:
    arrived = [
        (number, gradient.detach())
        for position, number in numbered
        if (gradient := gradients[position]) is not None
    ]
    if arrived:
        sink(arrived)


def _with_node(live: dict[int, AutogradNode], index: int, layer_hook: LayerHook) -> Prehook:
    def hook(gradients: Gradients) -> None:
        node, gradient = live.pop(index, None), gradients[0]
        if node is not None and gradient is not None:
            layer_hook(node, gradient.detach())

    return hook
