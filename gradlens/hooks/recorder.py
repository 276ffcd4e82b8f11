"""Watching one backward pass: the only file that registers gradient hooks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch.autograd.graph import Node as AutogradNode


class Watched(Protocol):
    """Where a gradient comes by: ``position`` is an output where accumulated, else a slot."""

    @property
    def node(self) -> int:
        """Index of the node."""

    @property
    def position(self) -> int:
        """Output number or slot."""

    @property
    def accumulated(self) -> bool:
        """The sum, or one contribution."""

    @property
    def weight(self) -> bool:
        """Of the node's weight: not a gradient that comes by, but made from it by ``layers``."""


class Tap(NamedTuple):
    """The least that can be watched."""

    node: int
    position: int
    accumulated: bool
    weight: bool = False


Sink = Callable[[int, torch.Tensor], None]
"""Receives (number of the probe, gradient); must reduce the gradient at once, not keep it."""
Weigh = Callable[[AutogradNode, torch.Tensor], None]
"""Receives a layer's live node, whose saved tensors are still there, and the gradient at its output."""


@contextmanager
def watch(
    nodes: Sequence[AutogradNode],
    probes: Sequence[Watched],
    sink: Sink,
    layers: Mapping[int, Weigh] | None = None,
) -> Iterator[None]:
    """Hand every probe's gradient to ``sink`` during the backward pass run inside the context.

    ``Node.register_hook`` gives the contributions before accumulation, ``register_prehook`` the
    accumulated gradient. No hook refers to a node: that cycle would keep the whole graph alive
    until the garbage collector runs. The hooks are removed on leaving, also after an exception.

    Args:
        nodes: live nodes by index, as ``walk`` returned them; may be dropped inside the context.
        probes: what to watch.
        sink: called on the thread that runs the backward pass.
        layers: by node, what is called with the node itself when its gradient has arrived. Such a node is
            held outside its hook, and let go there or on leaving, so the cycle does not last.
    """
    live = {index: nodes[index] for index in layers or {}}
    after: dict[int, list[tuple[int, int]]] = defaultdict(list)
    before: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, probe in enumerate(probes):
        if not probe.weight:
            (before if probe.accumulated else after)[probe.node].append((probe.position, number))
    handles: list[Any] = []
    try:
        for index, wanted in after.items():
            handles.append(nodes[index].register_hook(_contributions(wanted, sink)))
        for index, wanted in before.items():
            handles.append(nodes[index].register_prehook(_accumulated(wanted, sink)))
        for index, weigh in (layers or {}).items():
            handles.append(nodes[index].register_prehook(_with_node(live, index, weigh)))
        yield
    finally:
        live.clear()
        for handle in handles:
            handle.remove()


def _contributions(wanted: list[tuple[int, int]], sink: Sink) -> Callable[[Any, Any], None]:
    def hook(grad_inputs: Any, grad_outputs: Any) -> None:
        for slot, number in wanted:
            if grad_inputs[slot] is not None:
                sink(number, grad_inputs[slot].detach())

    return hook


def _with_node(live: dict[int, AutogradNode], index: int, weigh: Weigh) -> Callable[[Any], None]:
    def hook(grad_outputs: Any) -> None:
        node = live.pop(index, None)
        if node is not None and grad_outputs[0] is not None:
            weigh(node, grad_outputs[0].detach())

    return hook


def _accumulated(wanted: list[tuple[int, int]], sink: Sink) -> Callable[[Any], None]:
    def hook(grad_outputs: Any) -> None:
        for output, number in wanted:
            if grad_outputs[output] is not None:
                sink(number, grad_outputs[output].detach())

    return hook
