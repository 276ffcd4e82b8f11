"""Forks, partial splits and the merges where their branches meet again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gradlens.graph import ops
from gradlens.graph.meeting import PostDominators
from gradlens.graph.nested import branch_labels, kind_of
from gradlens.graph.nodes import Edge, Graph, TensorKey
from gradlens.graph.partial import Part, cut_by_slices, cut_by_split
from gradlens.graph.projecting import projected_pairs
from gradlens.graph.work import BranchWork, numbered_labels, part_labels


@dataclass(frozen=True)
class Fork:
    """A tensor that receives two or more contributions.

    Attributes:
        source: the forked tensor.
        edges: edges along which the contributions arrive, one per branch.
        labels: labels of the branches.
        work: work of the branches.
        kind: ``residual``, ``parallel``, ``gate``, ``dense`` or ``other``.
        merge: operation where the branches meet again.
    """

    source: TensorKey
    edges: tuple[Edge, ...]
    labels: tuple[str, ...]
    work: tuple[BranchWork, ...]
    kind: str
    merge: int


@dataclass(frozen=True)
class PartialSplit:
    """A tensor cut along channels into parts that different branches process.

    Attributes:
        form: ``split`` (also ``chunk``, ``unbind``), ``slice`` or ``project`` (two 1x1 convolutions).
        source: the tensor that is cut; for ``project`` the tensor that both convolutions read.
        parts: the parts, with their channel ranges (None for ``project``).
        labels: labels of the parts.
        work: work of the parts' branches.
        kind: as for ``Fork``.
        merge: operation where the branches meet again.
        axis: the channel axis of ``source``.
        merge_edges: by part, the edges along which its branch enters the concatenation where the parts meet; empty if
            they meet elsewhere.
    """

    form: str
    source: TensorKey
    parts: tuple[Part, ...]
    labels: tuple[str, ...]
    work: tuple[BranchWork, ...]
    kind: str
    merge: int
    axis: int
    merge_edges: tuple[tuple[Edge, ...], ...]


class Branches:
    """Forks and partial splits of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def _post_dominators(self) -> PostDominators:
        return PostDominators(self.graph)

    def meet(self, nodes: Sequence[int]) -> int:
        """Return the first operation that every path from these nodes to the loss passes through."""
        return self._post_dominators.meet(nodes)

    def between(self, starts: Sequence[int], merge: int) -> set[int]:
        """Return the operations on the paths from ``starts`` to ``merge``, without the merge."""
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

    def work(self, starts: Sequence[int], merge: int) -> BranchWork:
        """Return the work of the branch from ``starts`` to ``merge``."""
        weighted, spatial = (
            max((table[start] - table[merge] for start in starts if start != merge), default=0)
            for table in self._to_the_loss
        )
        return BranchWork(weighted, spatial)

    @cached_property
    def _to_the_loss(self) -> tuple[list[int], list[int]]:
        """Largest number of weighted layers, and of spatial convolutions, on a path from each node to the loss.

        All paths from a branch to the loss pass through its merge, so the work of a branch is a difference of two.
        """
        nodes = self.graph.nodes
        tables = [0] * len(nodes), [0] * len(nodes)
        for index in reversed(self.graph.forward_order):
            for table, own in zip(tables, (nodes[index].weighted, nodes[index].spatial), strict=True):
                readers = self.graph.readers.get(index, ())
                table[index] = own + max((table[edge.consumer] for edge in readers), default=0)
        return tables

    @cached_property
    def splits(self) -> tuple[PartialSplit, ...]:
        """Partial splits in forward order: by ``split``, by slices, by two 1x1 convolutions."""
        splits: list[PartialSplit] = []
        for index in self.graph.forward_order:
            node = self.graph.nodes[index]
            if node.operation in ops.CUTS:
                cut = cut_by_split(self.graph, index)
                if cut is not None:
                    splits.append(self._split("split", *cut))
            for output in range(len(node.shapes)):
                key = TensorKey(index, output)
                if len(self.graph.consumers.get(key, ())) < 2:
                    continue
                cut = cut_by_slices(self.graph, key)
                splits += [self._split("slice", *cut)] if cut else self._projected(key)
        return tuple(splits)

    def _split(self, form: str, source: TensorKey, parts: tuple[Part, ...], axis: int) -> PartialSplit:
        starts = [[e.consumer for e in self.graph.consumers.get(part.key, ())] for part in parts]
        merge = self.meet([node for ends in starts for node in ends])
        work = tuple(self.work(ends, merge) for ends in starts)
        kind = "other" if self._attends(starts) else kind_of(self.graph, merge)
        return PartialSplit(
            form=form,
            source=source,
            parts=parts,
            labels=part_labels(kind, work),
            work=work,
            kind=kind,
            merge=merge,
            axis=axis,
            merge_edges=tuple(
                self._entries(part.key, ends, merge) if kind == "parallel" else ()
                for part, ends in zip(parts, starts, strict=True)
            ),
        )

    def _projected(self, key: TensorKey) -> list[PartialSplit]:
        """Return the splits by two 1x1 convolutions, concatenated later, whose branches differ in their layers."""
        splits = (
            self._split("project", key, tuple(Part(made.end, None) for made in pair), 1)
            for pair in projected_pairs(self.graph, key, self.meet)
        )
        return [split for split in splits if split.kind == "parallel" and _one_bypasses(split.work)]

    def _entries(self, key: TensorKey, starts: Sequence[int], merge: int) -> tuple[Edge, ...]:
        inside = self.between(starts, merge)
        return tuple(
            edge
            for edge in self.graph.inputs.get(merge, ())
            if edge.producer in inside or TensorKey(edge.producer, edge.output) == key
        )

    @cached_property
    def forks(self) -> tuple[Fork, ...]:
        """Forks in forward order, without tensors that are only sliced.

        A tensor that is only sliced into parts is a partial split, in whichever form it is written.
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
        starts = [edge.consumer for edge in edges]
        merge = self.meet(starts)
        work = tuple(self.work([start], merge) for start in starts)
        kind = kind_of(self.graph, merge)
        readers = [self.visible_consumer(edge) for edge in edges]
        joins = sum(self.graph.nodes[node].operation in ops.CONCATENATIONS for node in readers)
        if kind == "parallel" and joins >= 2:
            kind = "dense"
        labels = (
            branch_labels(self.graph, self._post_dominators, self.work, starts, merge)
            if kind != "dense"
            else ()
        )
        return Fork(key, tuple(edges), labels or numbered_labels("branch", len(edges)), work, kind, merge)

    def visible_consumer(self, edge: Edge) -> int:
        """Return the operation that reads a tensor, looking through casts, views and permutes."""
        node = edge.consumer
        while self.graph.nodes[node].operation in ops.TRANSPARENT:
            readers = self.graph.readers.get(node, ())
            if len(readers) != 1:
                break
            node = readers[0].consumer
        return node

    def _attends(self, starts: Sequence[Sequence[int]]) -> bool:
        """Return whether two parts meet in a product of two matrices of data, as queries and keys of attention do."""
        meetings = [self.meet([*first, *second]) for first, second in itertools.pairwise(starts)]
        nodes = [self.graph.nodes[index] for index in meetings]
        return any(
            not node.weighted and (node.operation in ops.MATRIX_PRODUCTS or "Attention" in node.operation)
            for node in nodes
        )


def _pure(split: PartialSplit, graph: Graph) -> bool:
    return len(graph.consumers[split.source]) == len(split.parts)


def _one_bypasses(work: Sequence[BranchWork]) -> bool:
    """Return whether one of two branches has spatial convolutions and the other none, or layers and the other none."""
    if any(branch.spatial for branch in work):
        return not all(branch.spatial for branch in work)
    return sorted(branch.weighted > 0 for branch in work) == [False, True]
