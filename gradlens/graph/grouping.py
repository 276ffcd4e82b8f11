"""Groups of probes: the branches of a fork, the parts of a partial split, the inputs of a merge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gradlens.graph import ops
from gradlens.graph.branches import Branches, Fork, PartialSplit
from gradlens.graph.choosing import Probes
from gradlens.graph.nodes import TensorKey
from gradlens.graph.owners import OUTSIDE
from gradlens.graph.plan import Group
from gradlens.graph.sites import numbered
from gradlens.graph.work import BranchWork

MATRIX = 2
"""Axes of a batch of vectors, which has no positions."""
ENLARGING = {*ops.CONVOLUTIONS, "PixelShuffle"}
"""Operations that may return more positions than they read, beside upsampling."""
RANKS = {"fork": 0, "split": 1, "merge": 2}
"""Order of the groups that have the same source."""


class Groups:
    """Forks and partial splits of a graph with their probes and names.

    Args:
        probes: collects the probes of the groups.

    Attributes:
        sources: the tensor that is cut, by the tensor of each part.
    """

    def __init__(self, probes: Probes) -> None:
        self.probes, self.graph = probes, probes.graph
        self._branches = Branches(probes.graph)
        self._split_sites = self._named_splits()
        self._part_sites = {
            part.key: f"{self._split_sites[split]}, {label}"
            for split in self._branches.splits
            for part, label in zip(split.parts, split.labels, strict=True)
        }
        self.sources = {part.key: split.source for split in self._branches.splits for part in split.parts}

    def all(self) -> list[Group]:
        """Return every fork, partial split and merge."""
        groups = [self._fork(fork) for fork in self._branches.forks]
        for split in self._branches.splits:
            groups += self._split(split)
        return groups

    def in_order(self, groups: Sequence[Group]) -> tuple[Group, ...]:
        """Sort groups by their source in forward order."""
        ranks = self.probes.ranks
        return tuple(sorted(groups, key=lambda group: (ranks[group.source[0]], RANKS[group.where])))

    def source_name(self, key: TensorKey) -> str:
        """Return the name of a tensor that layers read; it does not depend on the form of a split."""
        node = self.graph.nodes[key.node]
        name = self.probes.owners[key.node].module if node.weighted else self.probes.names[key.node]
        return self._part_sites.get(key, name)

    def _fork(self, fork: Fork) -> Group:
        probes = self.probes
        return Group(
            where="fork",
            kind=fork.kind,
            form="",
            site=self._part_sites.get(fork.source, probes.names[fork.source.node]),
            stage=probes.stages[fork.source.node],
            labels=self._labels(fork),
            members=tuple((probes.edge(edge),) for edge in fork.edges),
            total=probes.tensor(fork.source),
            channels=(),
            axis=1,
            weighted=_weighted(fork.work),
            merge=probes.names[fork.merge],
            source=(fork.source.node, fork.source.output),
        )

    def _labels(self, fork: Fork) -> tuple[str, ...]:
        """Return the labels of the branches, or for those that are not told apart so, the operations that read them.

        The branches of a pyramid are not *skip* and *residual*: they meet in the loss only, or one of them comes back
        from a coarser resolution.
        """
        numbered_only = fork.labels[0].startswith("branch")
        if not numbered_only and not (fork.kind == "residual" and self._in_pyramid(fork)):
            return fork.labels
        readers = [self.probes.names[self._branches.visible_consumer(edge)] for edge in fork.edges]
        return tuple(numbered([f"to {reader}" for reader in readers], "{} ({})"))

    def _in_pyramid(self, fork: Fork) -> bool:
        if self.probes.owners[fork.merge] == OUTSIDE:
            return True
        spatial = len(self.graph.shape(fork.source)) > MATRIX
        return spatial and any(
            self._enlarges(node)
            for node in self._branches.between([edge.consumer for edge in fork.edges], fork.merge)
        )

    def _enlarges(self, index: int) -> bool:
        """Return whether an operation returns more positions than it reads: an upsampling, a transposed convolution."""
        node = self.graph.nodes[index]
        if not (node.operation in ENLARGING or node.operation.startswith("Upsample")):
            return False
        edges = self.graph.inputs.get(index, ())
        shapes = (self.graph.shape(TensorKey(edge.producer, edge.output)) for edge in edges)
        return any(math.prod(shape[2:]) < math.prod(node.shapes[0][2:]) for shape in shapes)

    def _split(self, split: PartialSplit) -> Iterator[Group]:
        probes, cut = self.probes, split.form != "project"
        group = Group(
            where="split",
            kind=split.kind,
            form=split.form,
            site=self._split_sites[split],
            stage=probes.stages[split.source.node if cut else split.parts[0].key.node],
            labels=split.labels,
            members=tuple((probes.tensor(part.key),) for part in split.parts),
            total=probes.tensor(split.source) if self._only_cut(split) else None,
            channels=tuple(part.channels for part in split.parts if part.channels is not None),
            axis=split.axis,
            weighted=_weighted(split.work),
            merge=probes.names[split.merge],
            source=(split.source.node, split.source.output),
            parts=tuple((part.key.node, part.key.output) for part in split.parts),
        )
        yield group
        if split.kind == "parallel" and all(split.merge_edges):
            members = tuple(tuple(probes.edge(edge) for edge in edges) for edges in split.merge_edges)
            yield replace(group, where="merge", members=members, total=None, channels=())

    def _only_cut(self, split: PartialSplit) -> bool:
        """Return whether only this split reads its source, so that the parts add up to the gradient of the source."""
        if (
            split.form == "project"
            or sum(other.source == split.source for other in self._branches.splits) > 1
        ):
            return False
        readers = self.graph.consumers[split.source]
        return len(readers) == (1 if split.form == "split" else len(split.parts))

    def _named_splits(self) -> dict[PartialSplit, str]:
        """Name each split after the module that cuts, numbered in forward order if it cuts several times."""
        splits = self._branches.splits
        names = numbered([f"{self._common_module(split)}:partial split" for split in splits], "{}#{}")
        return dict(zip(splits, names, strict=True))

    def _common_module(self, split: PartialSplit) -> str:
        """Return the path of the module that cuts: the common part of the paths of all parts."""
        paths = [self.probes.owners[part.key.node].module.split(".") for part in split.parts]
        if split.form != "project":
            return ".".join(paths[0]) or "(model)"
        shared: list[str] = []
        for names in zip(*paths, strict=False):
            if len(set(names)) > 1:
                break
            shared.append(names[0])
        return ".".join(shared) or "(model)"


def _weighted(work: Sequence[BranchWork]) -> tuple[int, ...]:
    return tuple(branch.weighted for branch in work)
