"""Forks, partial splits and the merges where their ways meet again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, TensorKey
from gradlens.graph.partial import Part, cut_by_slices, cut_by_split, projection_end

KINDS = {"residual": ops.ADDS, "parallel": ops.CONCATENATIONS, "gate": ops.PRODUCTS}


@dataclass(frozen=True)
class Way:
    """What lies between a fork and its merge along one contribution.

    Attributes:
        weighted: weighted layers on the longest way.
        spatial: convolutions that look at more than one position, anywhere on the way.
    """

    weighted: int
    spatial: int


@dataclass(frozen=True)
class Fork:
    """A tensor that receives two or more contributions."""

    source: TensorKey
    edges: tuple[Edge, ...]
    labels: tuple[str, ...]
    ways: tuple[Way, ...]
    kind: str
    merge: int


@dataclass(frozen=True)
class PartialSplit:
    """A tensor cut along channels into parts that go different ways.

    Attributes:
        form: ``split`` (also ``chunk``), ``slice`` or ``project`` (two 1x1 convolutions).
        source: the tensor that is cut; for ``project`` the tensor that both convolutions read.
        parts: with channel ranges (none for ``project``).
        axis: the channel axis of ``source``.
        merge_edges: per part the edges along which its way enters the merge.
    """

    form: str
    source: TensorKey
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    ways: tuple[Way, ...]
    kind: str
    merge: int
    axis: int
    merge_edges: tuple[tuple[Edge, ...], ...]


class Branches:
    """Forks and partial splits of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def _immediate(self) -> dict[int, int]:
        """Immediate post-dominator of each node on the forward graph (dominator from the loss)."""
        digraph = nx.DiGraph()
        digraph.add_node(0)
        digraph.add_edges_from((edge.consumer, edge.producer) for edge in self.graph.edges)
        found = nx.immediate_dominators(digraph, 0)
        return {node: above for node, above in found.items() if above is not None and node != 0}

    def _chain(self, node: int) -> list[int]:
        chain = [node]
        while chain[-1] in self._immediate:
            chain.append(self._immediate[chain[-1]])
        return chain

    def meet(self, nodes: Sequence[int]) -> int:
        """The first operation that every way from these nodes to the loss passes through."""
        common = self._chain(nodes[0])
        for node in nodes[1:]:
            seen = set(self._chain(node))
            common = [step for step in common if step in seen]
        return common[0] if common else 0

    def between(self, starts: Sequence[int], merge: int) -> set[int]:
        """Operations on the ways from ``starts`` to ``merge``, without the merge."""
        seen: set[int] = set()
        ready = [start for start in starts if start != merge]
        while ready:
            node = ready.pop()
            if node not in seen:
                seen.add(node)
                ready += [
                    edge.consumer for edge in self.graph.readers.get(node, ()) if edge.consumer != merge
                ]
        return seen

    def way(self, starts: Sequence[int], merge: int) -> Way:
        """Length and kind of the way from ``starts`` to ``merge``."""
        nodes, inside = self.graph.nodes, self.between(starts, merge)
        longest: dict[int, int] = {}
        for index in sorted(inside, key=lambda node: nodes[node].sequence):
            sources = (edge.producer for edge in self.graph.inputs.get(index, ()))
            below = max((longest[node] for node in sources if node in longest), default=0)
            longest[index] = below + nodes[index].weighted
        spatial = sum(nodes[index].spatial for index in inside)
        return Way(max(longest.values(), default=0), spatial)

    @cached_property
    def splits(self) -> tuple[PartialSplit, ...]:
        """Partial splits in forward order: by ``split``, by slices, by two 1x1 convolutions."""
        found: list[PartialSplit] = []
        for index in self.graph.forward_order:
            node = self.graph.nodes[index]
            if node.operation in ops.SPLITS:
                cut = cut_by_split(self.graph, index)
                if cut is not None:
                    found.append(self._split("split", *cut))
            for output in range(len(node.shapes)):
                key = TensorKey(index, output)
                if len(self.graph.consumers.get(key, ())) < 2:
                    continue
                cut = cut_by_slices(self.graph, key)
                split = self._split("slice", *cut) if cut else self._projected(key)
                if split is not None:
                    found.append(split)
        return tuple(found)

    def _split(self, form: str, source: TensorKey, parts: tuple[Part, ...], axis: int) -> PartialSplit:
        starts = [[e.consumer for e in self.graph.consumers.get(part.key, ())] for part in parts]
        merge = self.meet([node for ends in starts for node in ends])
        ways = tuple(self.way(ends, merge) for ends in starts)
        kind = self._kind(merge)
        return PartialSplit(
            form=form,
            source=source,
            parts=parts,
            labels=_part_labels(kind, ways),
            ways=ways,
            kind=kind,
            merge=merge,
            axis=axis,
            merge_edges=tuple(
                self._entries(part.key, ends, merge) for part, ends in zip(parts, starts, strict=True)
            ),
        )

    def _projected(self, key: TensorKey) -> PartialSplit | None:
        """Two 1x1 convolutions of one tensor whose ways are concatenated, one without 3x3."""
        edges = self.graph.consumers[key]
        ends = [projection_end(self.graph, edge) for edge in edges]
        if len(edges) != 2 or any(end is None for end in ends):
            return None
        parts = tuple(Part(end, None) for end in ends if end is not None)
        split = self._split("project", key, parts, 1)
        spatial = sorted(way.spatial > 0 for way in split.ways)
        return split if split.kind == "parallel" and spatial == [False, True] else None

    def _entries(self, key: TensorKey, starts: Sequence[int], merge: int) -> tuple[Edge, ...]:
        inside = self.between(starts, merge)
        return tuple(
            edge
            for edge in self.graph.inputs.get(merge, ())
            if edge.producer in inside or TensorKey(edge.producer, edge.output) == key
        )

    @cached_property
    def forks(self) -> tuple[Fork, ...]:
        """Tensors with several contributions, in forward order, without pure slicing forks.

        A tensor that is only sliced into parts is a partial split, whatever its spelling.
        """
        sliced = {split.source for split in self.splits if split.form == "slice" and _pure(split, self.graph)}
        return tuple(
            self._fork(key, edges)
            for key, edges in sorted(
                self.graph.consumers.items(),
                key=lambda item: (self.graph.nodes[item[0].node].sequence, item[0].output),
            )
            if len(edges) >= 2 and key not in sliced
        )

    def _fork(self, key: TensorKey, edges: list[Edge]) -> Fork:
        merge = self.meet([edge.consumer for edge in edges])
        ways = tuple(self.way([edge.consumer], merge) for edge in edges)
        kind = self._kind(merge)
        readers = [self.visible_consumer(edge) for edge in edges]
        joins = sum(self.graph.nodes[node].operation in ops.CONCATENATIONS for node in readers)
        if kind == "parallel" and joins >= 2:
            kind = "dense"
        labels = _fork_labels(kind, ways)
        return Fork(key, tuple(edges), labels, ways, kind, merge)

    def visible_consumer(self, edge: Edge) -> int:
        """The operation that reads a tensor, looking through casts, views and permutes."""
        node = edge.consumer
        while self.graph.nodes[node].operation in ops.TRANSPARENT:
            readers = self.graph.readers.get(node, ())
            if len(readers) != 1:
                break
            node = readers[0].consumer
        return node

    def _kind(self, merge: int) -> str:
        operation = self.graph.nodes[merge].operation
        for kind, family in KINDS.items():
            if operation in family:
                return kind
        return "other"


def _pure(split: PartialSplit, graph: Graph) -> bool:
    return len(graph.consumers[split.source]) == len(split.parts)


def _part_labels(kind: str, ways: Sequence[Way]) -> tuple[str, ...]:
    if kind == "parallel" and len(ways) == 2:
        return _two(ways, "bypass", "dense", "part")
    return tuple(f"part {number}" for number in range(1, len(ways) + 1))


def _fork_labels(kind: str, ways: Sequence[Way]) -> tuple[str, ...]:
    names = {
        "residual": ("skip", "residual"),
        "parallel": ("bypass", "dense"),
        "gate": ("identity", "gate"),
    }
    if kind in names and len(ways) == 2:
        return _two(ways, *names[kind], "branch")
    return tuple(f"branch {number}" for number in range(1, len(ways) + 1))


def _two(ways: Sequence[Way], light: str, heavy: str, otherwise: str) -> tuple[str, str]:
    """Name two ways by their work: without spatial convolutions, else with fewer layers, is light."""
    first, second = ((way.spatial > 0, way.weighted) for way in ways)
    if first == second:
        return f"{otherwise} 1", f"{otherwise} 2"
    return (light, heavy) if first < second else (heavy, light)
