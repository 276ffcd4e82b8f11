"""Chains: uses of a weight each of which is computed from all earlier ones, and how far they have come at each node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gradlens.graph.nodes import Edge, Graph, Slot

Chain = tuple[int, ...]
"""The nodes of a chain, its elements, in order."""
ByChain = Mapping[int, int]
"""Positions, by number of the chain."""


@dataclass(frozen=True)
class Track:
    """How far the chains of a graph have come at each node.

    Attributes:
        graph: the graph.
        chains: the chains in forward order.
        reached: by node, the position of the last element of each chain that it is, or is computed from, from 1.
        ahead: by node, the chains of which it is, or leads to, an element.
    """

    graph: Graph
    chains: Sequence[Chain]
    reached: Mapping[int, ByChain]
    ahead: Mapping[int, frozenset[int]]

    @classmethod
    def of(cls, graph: Graph, chains: Sequence[Chain]) -> Track:
        """Follow chains through a graph."""
        return cls(graph, chains, _reached(graph, chains), _ahead(graph, chains))

    def position(self, node: int, chain: int) -> int:
        """Return the position of the last element that a node is computed from; 0 if there is none."""
        return self.reached.get(node, {}).get(chain, 0)

    def leads(self, node: int, chain: int) -> bool:
        """Return whether a node is, or leads to, an element."""
        return chain in self.ahead.get(node, ())

    def states_read(self, chain: int) -> dict[int, int]:
        """Return, by node, the elements that it is computed from; 0 only beside or behind an earlier state."""
        beside: set[int] = set()
        for index in self.graph.forward_order:
            inputs = self.graph.inputs.get(index, ())
            if self.leads(index, chain) or any(edge.producer in beside for edge in inputs):
                beside.add(index)
        known = {index for index in beside if index not in self.reached or chain in self.reached[index]}
        return {index: self.position(index, chain) for index in known}

    def times(self) -> dict[int, ByChain]:
        """Return, by node, when in each chain its result is used: 2k with or after element k, 2k - 1 in front of it.

        That is the first operation on the way to the loss, the node itself included, which a chain has reached. Chains
        that keep pace with that chain count as well, further on.
        """
        elements = {use for chain in self.chains for use in chain}
        partners = [self._partners(c) for c in range(len(self.chains))]
        times: dict[int, ByChain] = {}
        for index in reversed(self.graph.forward_order):
            readers = self.graph.readers.get(index, ())
            later = _merged((times.get(edge.consumer, {}) for edge in readers), min)
            reached = self.reached.get(index)
            if reached is not None:
                known = frozenset[int]().union(*(partners[c] for c in reached))
                later = {c: time for c, time in later.items() if c in known}
                later |= {c: 2 * k - (index in elements) for c, k in reached.items()}
            times[index] = later
        return times

    @cached_property
    def loops(self) -> list[int]:
        """By chain, the chain of the same recurrence that ends last: the weights of one loop lead to each other."""
        ends = [self.reached[chain[-1]] for chain in self.chains]
        ranks = {node: rank for rank, node in enumerate(self.graph.forward_order)}
        together = [[other for other in ends[c] if c in ends[other]] for c in range(len(ends))]
        return [max(others, key=lambda c: ranks[self.chains[c][-1]]) for others in together]

    def _partners(self, chain: int) -> frozenset[int]:
        """Return the chains each element of which is computed from more of this chain than the one before."""
        return frozenset(
            number
            for number, other in enumerate(self.chains)
            if len({self.position(use, chain) for use in other}) == len(other)
        )


def exits(track: Track) -> Iterator[Slot]:
    """Yield where a state that later steps read is read on another way, which avoids them.

    A gradient that does not come through these reaches the states from the last step only. What the last step itself
    reads of the state before it is no exit.
    """
    for c in sorted(set(track.loops)):
        latest = _latest(track, c)
        for edge in track.graph.edges:
            leaves = track.leads(edge.producer, c) and not track.leads(edge.consumer, c)
            state = track.position(edge.producer, c) or latest.get(edge.producer, 0) <= 2
            if (
                leaves
                and state
                and edge.producer != track.chains[c][-1]
                and not _of_last_step(track, edge, c)
            ):
                yield Slot(edge.consumer, edge.slot)


def _latest(track: Track, chain: int) -> dict[int, int]:
    """Return, by node that leads to a chain, when at the latest the chain uses it (see ``Track.times``)."""
    elements, latest = set(track.chains[chain]), dict[int, int]()
    for index in reversed(track.graph.forward_order):
        position = track.position(index, chain)
        if position:
            latest[index] = 2 * position - (index in elements)
        elif track.leads(index, chain):
            readers = track.graph.readers.get(index, ())
            latest[index] = max(
                latest[edge.consumer] for edge in readers if track.leads(edge.consumer, chain)
            )
    return latest


def _of_last_step(track: Track, edge: Edge, chain: int) -> bool:
    length = len(track.chains[chain])
    return track.position(edge.consumer, chain) == length and all(
        track.position(other.producer, chain) >= length - 1 or not track.leads(other.producer, chain)
        for other in track.graph.inputs[edge.consumer]
    )


def _reached(graph: Graph, chains: Sequence[Chain]) -> dict[int, ByChain]:
    positions = {use: (c, k) for c, chain in enumerate(chains) for k, use in enumerate(chain, 1)}
    reached: dict[int, ByChain] = {}
    for index in graph.forward_order:
        inputs = graph.inputs.get(index, ())
        position = _merged((reached.get(edge.producer, {}) for edge in inputs), max)
        if index in positions:
            position |= [positions[index]]
        if position:
            reached[index] = position
    return reached


def _ahead(graph: Graph, chains: Sequence[Chain]) -> dict[int, frozenset[int]]:
    members = {use: c for c, chain in enumerate(chains) for use in chain}
    ahead: dict[int, frozenset[int]] = {}
    for index in reversed(graph.forward_order):
        readers = graph.readers.get(index, ())
        leads = frozenset[int]().union(*(ahead.get(edge.consumer, ()) for edge in readers))
        if index in members:
            leads |= {members[index]}
        if leads:
            ahead[index] = leads
    return ahead


def _merged(tables: Iterable[ByChain], choose: Callable[[int, int], int]) -> dict[int, int]:
    """Return one value of each chain: the one that ``choose``, ``min`` or ``max``, takes of two."""
    merged: dict[int, int] = {}
    for table in tables:
        for chain, value in table.items():
            merged[chain] = choose(value, merged.get(chain, value))
    return merged
