"""The dry pass: check on a few samples that contributions add up to the accumulated gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gradlens.grams.pairs import UNEVEN
from gradlens.grams.rows import real
from gradlens.graph.branches import Branches
from gradlens.graph.nodes import Graph, Slot, TensorKey
from gradlens.graph.partial import Part
from gradlens.hooks.constants import Derived, Reads
from gradlens.hooks.hooked import HookedTensor
from gradlens.hooks.recorder import Tap, one_by_one, watch
from gradlens.hooks.walking import graph_of

SAMPLES = 4
"""Largest number of samples of a dry pass."""


class DryPass(NamedTuple):
    """Result of a dry pass.

    Attributes:
        graph: graph of the same computation at another batch size.
        samples: number of samples.
        errors: by forked or cut tensor, ``‖Σ contributions - accumulated‖ / ‖accumulated‖``.
        hooked: tensors with a hook of the user that returns a gradient, after the gradient is accumulated.
        derived: what does not derive from the batch.
        uneven: tensors with two contributions, one of which has less than ``UNEVEN`` of the energy of the other.
        moved: nodes that read samples in another order, from outside the graph.
        stacked: by node that reads several rows of each sample from outside the graph, the number of positions that
            vary slower than the samples.
        communicates: whether an operation waits for other processes.
    """

    graph: Graph
    samples: int
    errors: dict[TensorKey, float]
    derived: Derived
    hooked: frozenset[TensorKey] = frozenset()
    uneven: frozenset[TensorKey] = frozenset()
    moved: frozenset[int] = frozenset()
    stacked: Mapping[int, int] = MappingProxyType({})
    communicates: bool = False

    def errors_in(self, graph: Graph) -> dict[TensorKey, float]:
        """Return ``errors`` for the tensors of another pass that runs the same operations up to them."""
        nodes = {other: node for node, other in self._shared(graph).items()}
        return {
            TensorKey(nodes[key.node], key.output): error
            for key, error in self.errors.items()
            if key.node in nodes
        }

    def moved_in(self, graph: Graph) -> frozenset[int]:
        """Return the nodes of another pass that read, or may read, samples in another order."""
        shared = self._shared(graph)
        moved = {node for node, other in shared.items() if other in self.moved}
        return frozenset(moved.union(set(graph.forward_order).difference(shared)))

    def stacked_in(self, graph: Graph) -> dict[int, int]:
        """Return ``stacked`` for the nodes of another pass."""
        return {
            node: self.stacked[other] for node, other in self._shared(graph).items() if other in self.stacked
        }

    def _shared(self, graph: Graph) -> dict[int, int]:
        """Return the nodes that another pass shares with this one, with those of this one.

        The two graphs may differ behind that part, as in a detector with a loop over images.
        """
        pairs = list(zip(graph.forward_order, self.graph.forward_order, strict=False))
        ranks = [{node: rank for rank, node in enumerate(g.forward_order)} for g in (graph, self.graph)]
        alike = (_alike(graph, self.graph, pair, ranks) for pair in pairs)
        return dict(pairs[: next((i for i, same in enumerate(alike) if not same), len(pairs))])


def _alike(graph: Graph, other: Graph, pair: tuple[int, int], ranks: Sequence[Mapping[int, int]]) -> bool:
    """Return whether two nodes have the same operation and read the same tensors."""
    sides = list(zip((graph, other), pair, ranks, strict=True))
    read = [
        [(rank[edge.producer], edge.output, edge.slot) for edge in side.inputs.get(node, ())]
        for side, node, rank in sides
    ]
    return len({side.nodes[node].spelling for side, node, _ in sides}) == 1 and read[0] == read[1]


def dry_pass(
    model: nn.Module,
    loss: Tensor,
    samples: int,
    reads: Reads | None = None,
    hooked: Sequence[HookedTensor] = (),
) -> DryPass:
    """Run one backward pass that holds all contributions at forks and splits, and compare their sums.

    Contributions are added in the order of their arrival, as autograd does, so the error is
    exactly 0 if hooks see what autograd sums.

    Args:
        model: the network.
        loss: scalar loss over the samples.
        samples: number of samples.
        reads: which operations read the batch.
        hooked: the tensors with a hook of the user.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    nodes, graph, derived = graph_of(model, loss, reads)
    index = {node: position for position, node in enumerate(nodes)}
    hooks = [(TensorKey(index[h.node], h.output), h.returned) for h in hooked if h.node in index]
    del index  # live nodes
    sums = _Sums(graph)
    with watch(nodes, dict(enumerate(sums.taps)), one_by_one(sums.receive)):
        nodes.clear()
        torch.autograd.grad(loss, parameters, allow_unused=True)
    changed = frozenset(key for key, returned in hooks if returned.gradient)
    seen = Reads({}, samples) if reads is None else reads
    numbered = list(enumerate(node.sequence for node in graph.nodes))
    moved = frozenset(position for position, sequence in numbered if sequence in seen.moved)
    stacked = {
        position: seen.stacked[sequence] for position, sequence in numbered if sequence in seen.stacked
    }
    return DryPass(graph, samples, sums.errors, derived, changed, frozenset(sums.uneven), moved, stacked)


class _Sums:
    """Holds contributions until the tensor they belong to is complete."""

    def __init__(self, graph: Graph) -> None:
        self.taps: list[Tap] = []
        self.errors: dict[TensorKey, float] = {}
        self.uneven: set[TensorKey] = set()
        self._arrive: list[Callable[[Tensor], None]] = []
        branches = Branches(graph)
        for fork in branches.forks:
            self._sum(fork.source, [Slot(edge.consumer, edge.slot) for edge in fork.edges])
        for split in branches.splits:
            if split.form == "slice":
                edges = graph.consumers[split.source]
                self._sum(split.source, [Slot(edge.consumer, edge.slot) for edge in edges])
            elif split.form == "split":
                self._joined_parts(split.source, split.parts, split.axis, graph)

    def receive(self, number: int, gradient: Tensor) -> None:
        """Receive a gradient of the backward pass."""
        self._arrive[number](gradient)

    def _sum(self, source: TensorKey, slots: list[Slot]) -> None:
        held: list[Tensor] = []

        def complete(total: Tensor) -> None:
            added = held[0] if held else torch.zeros_like(total)
            for contribution in held[1:]:
                added = added + contribution
            self.errors[source] = relative_error(added, total)
            if len(held) == 2 and _uneven(*held):
                self.uneven.add(source)
            held.clear()

        for slot in slots:
            self._add(slot, held.append)
        self._add(source, complete)

    def _joined_parts(self, source: TensorKey, parts: tuple[Part, ...], axis: int, graph: Graph) -> None:
        """Compare the joined gradients of the parts with the gradient of the input of a ``split``."""
        held: dict[int, Tensor] = {}
        node = parts[0].key.node

        def complete(passed_on: Tensor) -> None:
            joined = torch.zeros_like(passed_on)
            for index, part in enumerate(parts):
                if index in held and part.channels is not None:
                    start, stop, _ = part.channels
                    sizes = (*joined.shape[:axis], stop - start, *joined.shape[axis + 1 :])
                    joined.narrow(axis, start, stop - start).copy_(held[index].reshape(sizes))
            self.errors[source] = relative_error(joined, passed_on)
            held.clear()

        for index, part in enumerate(parts):
            self._add(TensorKey(node, part.key.output), partial(held.__setitem__, index))
        slot = next(edge.slot for edge in graph.inputs[node])
        self._add(Slot(node, slot), complete)

    def _add(self, tap: Tap, arrive: Callable[[Tensor], None]) -> None:
        self.taps.append(tap)
        self._arrive.append(arrive)


def _uneven(first: Tensor, second: Tensor) -> bool:
    low, high = sorted(float(torch.linalg.vector_norm(gradient)) ** 2 for gradient in (first, second))
    return 0 < low < UNEVEN * high


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Return ``‖actual - expected‖ / ‖expected‖`` in float64; 0 if both are bit-identical."""
    actual, expected = real(actual), real(expected)
    if torch.equal(actual, expected):
        return 0.0
    difference = float((actual.double() - expected.double()).norm())
    norm = float(expected.double().norm())
    return difference / norm if norm > 0 else float("inf")
