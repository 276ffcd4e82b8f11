"""The part of the graph that does not derive from the batch: what is computed from parameters alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch.autograd.graph import Node as AutogradNode

from gradlens.graph import ops
from gradlens.graph.nodes import Shape
from gradlens.hooks.learning import shapes

Names = frozenset[str]
Families = Mapping[AutogradNode, str]
REPEATS = {"Expand", "Repeat"}


@dataclass(frozen=True)
class Reads:
    """Which nodes of a pass read the batch (see ``following``).

    Attributes:
        by_sequence: by sequence number, whether the operation read the batch.
        samples: number of samples.
        moved: sequence numbers of operations that read samples in another order, from outside the graph.
        stacked: by sequence number of an operation that reads several rows of each sample from outside the graph, the
            number of positions that vary slower than the samples.
    """

    by_sequence: Mapping[int, bool]
    samples: int
    moved: frozenset[int] = frozenset()
    stacked: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Derived:
    """The nodes of a pass that do not derive from the batch, for other passes with the same operations.

    Attributes:
        graph: operations and edges, in the order of the walk.
        constant: positions in that order.
    """

    graph: int
    constant: frozenset[int]


def constants(
    order: Sequence[AutogradNode],
    families: Families,
    parameters: Mapping[int, str],
    known: Reads | Derived | None,
) -> dict[AutogradNode, Names]:
    """Return the nodes that do not derive from the batch, with the names of the parameters that they read.

    Args:
        order: all nodes, in the order of the walk.
        families: operation of each node.
        parameters: name of every parameter of the model by its ``id``.
        known: what the dry pass has seen: its own reads, or the derived nodes for a pass with the same operations.
            Otherwise the shapes decide.
    """
    position = {node: index for index, node in enumerate(order)}
    same = isinstance(known, Derived) and known.graph == signature(order, families)
    constant: dict[AutogradNode, Names] = {}
    repeated: set[AutogradNode] = set()
    for node in reversed(_topological(order)):
        if hasattr(node, "variable"):
            if id(node.variable) in parameters:
                constant[node] = frozenset([parameters[id(node.variable)]])
            continue
        producers = [producer for producer, _ in node.next_functions if producer is not None]
        if not producers or not all(producer in constant for producer in producers):
            continue
        if isinstance(known, Derived) and same:
            alone = position[node] in known.constant
        elif isinstance(known, Reads):
            alone = _unread(node, families, known, repeated)
        else:
            alone = _explained(node, families)
        if alone:
            constant[node] = frozenset().union(*(constant[producer] for producer in producers))
    return constant


def derived(
    order: Sequence[AutogradNode], families: Families, constant: Mapping[AutogradNode, Names]
) -> Derived:
    """Return the constant nodes by position."""
    positions = frozenset(index for index, node in enumerate(order) if node in constant)
    return Derived(signature(order, families), positions)


def signature(order: Sequence[AutogradNode], families: Families) -> int:
    """Return a number that is equal for passes with the same operations and edges."""
    position = {node: index for index, node in enumerate(order)}
    edges = tuple(
        tuple((position.get(producer, -1), output) for producer, output in node.next_functions)  # type: ignore[arg-type]
        for node in order
    )
    operations = tuple("View" if families[node] in ops.VIEWS else families[node] for node in order)
    return hash((operations, edges))


def _unread(node: AutogradNode, families: Families, known: Reads, repeated: set[AutogradNode]) -> bool:
    """Return whether a node whose producers are constant does not read the batch either.

    A layer that reads a constant that is ``repeated`` for each sample (learned queries, positions) has a gradient for
    each sample, like one that reads the batch. Nodes that are found to repeat a constant are added.
    """
    if known.by_sequence.get(node._sequence_nr(), False):
        return False
    operation, producers = families[node], [producer for producer, _ in node.next_functions]
    repeats = any(producer in repeated for producer in producers)
    if operation in ops.NORMS:
        return producers[0] not in repeated
    if operation in ops.WEIGHTED:
        words = operation == "Embedding" and known.samples in shapes(node)[0]
        return not (repeats or words)
    if repeats or (operation in REPEATS and known.samples in shapes(node)[0]):
        repeated.add(node)
    return True


def _explained(node: AutogradNode, families: Families) -> bool:
    """Return whether the parameters that a node reads explain it; the rule without a dry pass.

    An input without an edge is a number, or data that requires no gradient, such as the images, which add the axis
    of the samples (``x * gain``, a PReLU or an LSTM on the images).
    """
    operation, functions = families[node], node.next_functions
    if operation in ops.WEIGHTED or operation in ops.NORMS:
        slot = ops.WEIGHTED.get(operation, (0, 1))[0]
        return slot < len(functions) and functions[slot][0] is not None  # the missing input is a bias
    read = [shapes(producer)[output] for producer, output in functions if producer is not None]
    return len(read) == len(functions) or _broadcast(read) == shapes(node)[0]


def _broadcast(read: list[Shape]) -> Shape | None:
    try:
        return tuple(torch.broadcast_shapes(*read))
    except RuntimeError:
        return None


def _topological(order: Sequence[AutogradNode]) -> list[AutogradNode]:
    """Return the nodes with consumers before producers."""
    waiting: dict[AutogradNode, int] = defaultdict(int)
    for node in order:
        for producer, _ in node.next_functions:
            if producer is not None:
                waiting[producer] += 1
    ready = [node for node in order if waiting[node] == 0]
    for node in ready:
        for producer, _ in node.next_functions:
            if producer is not None:
                waiting[producer] -= 1
                if waiting[producer] == 0:
                    ready.append(producer)
    return ready
