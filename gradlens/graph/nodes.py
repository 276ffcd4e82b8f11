"""The autograd graph of a loss as plain values: nodes and edges.

An edge is ``(consumer, slot) → (producer, output)``; two edges may join the same two nodes
(``h * h``, ``cat([u, v, u])``), so all four numbers together identify an edge.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from gradlens.graph import ops

Shape = tuple[int, ...]


class Edge(NamedTuple):
    """The gradient of ``consumer`` along ``slot`` goes to ``output`` of ``producer``."""

    consumer: int
    slot: int
    producer: int
    output: int


class TensorKey(NamedTuple):
    """A forward tensor: an output of a node."""

    node: int
    output: int


class Slot(NamedTuple):
    """An input of a node: the start of an edge."""

    node: int
    slot: int


@dataclass(frozen=True)
class Node:
    """One operation of the graph.

    Attributes:
        operation: family name, such as ``Convolution``.
        sequence: number in order of creation, the forward order.
        shapes: shape of each output.
        weighted: whether it reads a parameter as its weight.
        kernel: spatial kernel of a convolution, empty otherwise.
        detail: saved attributes that describe how a tensor is cut or joined.
        weight: shape of its trainable weight, also of a normalisation; empty if there is none.
        parameter: number of the parameter that is this weight, equal for all its uses; -1 if there is none.
        maker: number of the node that computes the weight, equal for the parts of one cut parameter.
        roots: names of the parameters that the weight is computed from.
        reads: names of the parameters that the operation reads in addition: a bias, a gain.
        gain: for a product, the index of the input that is the weight.
        turned: whether a linear layer stores its parameter as ``[in, out]``, or an embedding as ``[width, words]``.
        left: whether a product reads its weight on the left, ``W @ x``.
    """

    operation: str
    sequence: int
    shapes: tuple[Shape, ...]
    weighted: bool = False
    kernel: Shape = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    weight: Shape = ()
    parameter: int = -1
    maker: int = -1
    roots: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    gain: int = 0
    turned: bool = False
    left: bool = False

    @property
    def spelling(self) -> str:
        """The operation, with one name for all spellings of a reshape."""
        return "View" if self.operation in ops.VIEWS else self.operation

    @property
    def spatial(self) -> bool:
        """Whether it is a convolution with a kernel larger than one position."""
        return any(size > 1 for size in self.kernel)


@dataclass(frozen=True)
class Graph:
    """The nodes that depend on the input, without parameters and what is computed from parameters alone.

    Node 0 is the loss. Nodes are numbered in the order of a breadth-first walk from it, so two graphs of
    the same computation number their nodes in the same way.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def consumers(self) -> dict[TensorKey, list[Edge]]:
        """The edges along which each tensor receives its contributions, in slot order."""
        table: dict[TensorKey, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            table[TensorKey(edge.producer, edge.output)].append(edge)
        return dict(table)

    @cached_property
    def inputs(self) -> dict[int, list[Edge]]:
        """The edges out of each consumer node."""
        table: dict[int, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            table[edge.consumer].append(edge)
        return dict(table)

    @cached_property
    def readers(self) -> dict[int, list[Edge]]:
        """The edges into each producer node, over all its outputs."""
        table: dict[int, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            table[edge.producer].append(edge)
        return dict(table)

    @cached_property
    def forward_order(self) -> list[int]:
        """Node indices from the input to the loss.

        Producers come before their readers, otherwise in the order of creation. The order of creation alone is none: a
        view of a tensor that was changed in place gets a new node when it is read.
        """
        waiting = [len(self.inputs.get(index, ())) for index in range(len(self.nodes))]
        ready = [(node.sequence, index) for index, node in enumerate(self.nodes) if not waiting[index]]
        heapify(ready)
        order = []
        while ready:
            _, index = heappop(ready)
            order.append(index)
            for edge in self.readers.get(index, ()):
                waiting[edge.consumer] -= 1
                if not waiting[edge.consumer]:
                    heappush(ready, (self.nodes[edge.consumer].sequence, edge.consumer))
        return order

    @cached_property
    def depths(self) -> list[int]:
        """Weighted layers on the longest path from the input up to and including each node."""
        depth = [0] * len(self.nodes)
        for index in self.forward_order:
            below = max((depth[edge.producer] for edge in self.inputs.get(index, ())), default=0)
            depth[index] = below + self.nodes[index].weighted
        return depth

    def shape(self, key: TensorKey) -> Shape:
        """Shape of a forward tensor, hence of its gradient."""
        return self.nodes[key.node].shapes[key.output]

    @cached_property
    def structure(self) -> str:
        """Digest of operations and edges; equal for the same computation at any batch size."""
        text = repr([node.spelling for node in self.nodes]) + repr([tuple(edge) for edge in self.edges])
        return hashlib.sha256(text.encode()).hexdigest()[:16]
