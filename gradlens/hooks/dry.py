"""The dry pass: over a few samples, is every sum of contributions the accumulated gradient?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gradlens.graph.branches import Branches
from gradlens.graph.nodes import Graph, TensorKey
from gradlens.graph.partial import Part
from gradlens.hooks.calls import tensors_of
from gradlens.hooks.recorder import Tap, watch
from gradlens.hooks.walking import walk

SAMPLES = 4


class DryPass(NamedTuple):
    """What the dry pass found.

    Attributes:
        graph: of the same computation at another batch size.
        samples: how many were used.
        errors: by forked or cut tensor, ``‖Σ contributions - accumulated‖ / ‖accumulated‖``.
    """

    graph: Graph
    samples: int
    errors: dict[TensorKey, float]


def dry_pass(model: nn.Module, loss: Tensor, samples: int) -> DryPass:
    """Run one backward pass holding every contribution at forks and splits, and compare.

    Contributions are added in the order of their arrival, as autograd does, so the error is
    exactly 0 where hooks see what autograd sums.

    Args:
        model: whose parameters require gradients.
        loss: scalar.
        samples: in the batch behind it.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert loss.grad_fn is not None
    nodes, graph = walk([loss.grad_fn], {id(parameter): name for name, parameter in model.named_parameters()})
    book = _Book(graph)
    with watch(nodes, book.taps, book.receive):
        nodes.clear()
        torch.autograd.grad(loss, parameters, allow_unused=True)
    return DryPass(graph, samples, book.errors)


class _Book:
    """Holds contributions until the tensor they belong to is complete."""

    def __init__(self, graph: Graph) -> None:
        self.taps: list[Tap] = []
        self.errors: dict[TensorKey, float] = {}
        self._arrive: list[Callable[[Tensor], None]] = []
        branches = Branches(graph)
        for fork in branches.forks:
            self._sum(fork.source, [Tap(edge.consumer, edge.slot, False) for edge in fork.edges])
        for split in branches.splits:
            if split.form == "slice":
                edges = graph.consumers[split.source]
                self._sum(split.source, [Tap(edge.consumer, edge.slot, False) for edge in edges])
            elif split.form == "split":
                self._pieces(split.source, split.parts, split.axis, graph)

    def receive(self, number: int, gradient: Tensor) -> None:
        """The sink of the backward pass."""
        self._arrive[number](gradient)

    def _sum(self, source: TensorKey, taps: list[Tap]) -> None:
        held: list[Tensor] = []

        def complete(total: Tensor) -> None:
            added: Any = held[0] if held else torch.zeros_like(total)
            for contribution in held[1:]:
                added = added + contribution
            self.errors[source] = relative_error(added, total)
            held.clear()

        for tap in taps:
            self._add(tap, held.append)
        self._add(Tap(source.node, source.output, True), complete)

    def _pieces(self, source: TensorKey, parts: tuple[Part, ...], axis: int, graph: Graph) -> None:
        """A ``split`` has no fork: its parts side by side are the gradient that it hands on."""
        held: dict[int, Tensor] = {}
        node = parts[0].key.node

        def complete(handed_on: Tensor) -> None:
            joined = torch.zeros_like(handed_on)
            for place, part in enumerate(parts):
                if place in held and part.channels is not None:
                    start, stop, _ = part.channels
                    joined.narrow(axis, start, stop - start).copy_(held[place])
            self.errors[source] = relative_error(joined, handed_on)
            held.clear()

        for place, part in enumerate(parts):
            self._add(Tap(node, part.key.output, True), partial(held.__setitem__, place))
        slot = next(edge.slot for edge in graph.inputs[node])
        self._add(Tap(node, slot, False), complete)

    def _add(self, tap: Tap, arrive: Callable[[Tensor], Any]) -> None:
        self.taps.append(tap)
        self._arrive.append(arrive)


def relative_error(found: Tensor, expected: Tensor) -> float:
    """``‖found - expected‖ / ‖expected‖`` in float64; 0 where both are equal to the bit."""
    if torch.equal(found, expected):
        return 0.0
    difference = float((found.double() - expected.double()).norm())
    norm = float(expected.double().norm())
    return difference / norm if norm > 0 else float("inf")


def first_samples(batch: Any, count: int) -> Any | None:
    """The first ``count`` samples of a batch, or None where it cannot be cut.

    A list of samples is cut as a list.
    Tensors in nested tuples, lists and dicts are cut along axis 0; all must have the same length.
    """
    if _lists_samples(batch):
        return batch[:count] if len(batch) > count else None
    lengths: set[int] = set()
    cut = _cut(batch, count, lengths)
    return cut if len(lengths) == 1 and lengths.pop() > count else None


def _cut(value: Any, count: int, lengths: set[int]) -> Any:
    if isinstance(value, Tensor) and value.dim():
        lengths.add(value.shape[0])
        return value[:count]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _cut(getattr(value, f.name), count, lengths) for f in fields(value)})
    if isinstance(value, dict):
        return {key: _cut(item, count, lengths) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_cut(item, count, lengths) for item in value))
    if isinstance(value, (list, tuple)):
        return type(value)(_cut(item, count, lengths) for item in value)
    return value


def batch_size(batch: Any) -> int:
    """Samples in a batch: the length of a list of samples, else of the first tensor's axis 0; 0 if neither."""
    if _lists_samples(batch):
        return len(batch)
    return next((tensor.shape[0] for tensor in tensors_of(batch) if tensor.dim()), 0)


def _lists_samples(batch: Any) -> bool:
    """A list of samples, each in a container of its own, and not (inputs, targets)."""
    if not isinstance(batch, (list, tuple)) or len(batch) <= 2:
        return False
    return all(isinstance(item, (list, tuple, dict)) or is_dataclass(item) for item in batch)
