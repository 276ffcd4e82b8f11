"""Choosing which gradients to watch, with the name, stage and shape of each."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

from gradlens.graph.branches import Branches, Fork, PartialSplit, Way
from gradlens.graph.channels import channel_axes
from gradlens.graph.layout import Sizes, layout
from gradlens.graph.nodes import Edge, TensorKey
from gradlens.graph.owners import Owner
from gradlens.graph.plan import Group, Plan, Probe, Slice
from gradlens.graph.reading import folded_in_channels, input_axis, learning_weights, reads
from gradlens.graph.sites import numbered, site_names
from gradlens.graph.stages import stages


def plan_sites(
    sizes: Sizes,
    owners: Sequence[Owner],
    image: Sequence[int],
    output: TensorKey | None,
    sites: str = "signals",
    space: str = "activations",
    modules: str | None = None,
) -> Plan:
    """Choose what to watch.

    Args:
        sizes: the graph, its batch size, and the same at another batch size.
        owners: owner of each node.
        image: spatial size of the input.
        output: the model's output tensor, whose gradient is the loss signal.
        sites: ``forks`` leaves signals out, ``all`` adds every edge (see ``Watch``).
        space: ``activations``, or ``weights``: a signal is the gradient of a layer's weight, sample by
            sample, instead of that at its output.
        modules: glob of module paths that limits the sites; None for all modules.
    """
    return _Planner(sizes, owners, image, space).plan(output, sites, modules)


class _Planner:
    def __init__(
        self, sizes: Sizes, owners: Sequence[Owner], image: Sequence[int], space: str = "activations"
    ) -> None:
        self.space = space
        self.slices: list[Slice] = []
        self.sizes, self.graph, self.owners = sizes, sizes.graph, tuple(owners)
        self.branches = Branches(sizes.graph)
        self.stages = stages(sizes.graph, owners, image, sizes.n)
        self.names = site_names(sizes.graph, owners)
        self.split_sites = self._split_sites()
        self.part_sites = self._part_sites()
        self.cut_from = {part.key: s.source for s in self.branches.splits for part in s.parts}
        self.place = {index: place for place, index in enumerate(sizes.graph.forward_order)}
        self.probes: dict[tuple[int, int, bool], int] = {}
        self.built: list[Probe] = []

    def plan(self, output: TensorKey | None, sites: str, glob: str | None) -> Plan:
        groups = [*map(self.fork, self.branches.forks)]
        for split in self.branches.splits:
            groups += self.split(split)
        groups = [group for group in groups if _selected(group.site.partition(":")[0], glob)]
        signals = [] if sites == "forks" else self.signals(glob)
        if sites == "all":
            for edge in self.graph.edges:
                self.edge(edge)
        loss = self.loss(output)
        return self._compact(tuple(signals), groups, loss)

    def _compact(self, signals: tuple[int, ...], groups: list[Group], loss: int | None) -> Plan:
        rank = {"fork": 0, "split": 1, "merge": 2}
        ordered = sorted(groups, key=lambda group: (self.place[group.source[0]], rank[group.where]))
        return Plan(
            probes=tuple(self.built),
            signals=signals,
            groups=tuple(ordered),
            loss=loss,
            graph=self.graph,
            owners=self.owners,
            stages=tuple(self.stages),
            slices=tuple(self.slices),
        )

    def signals(self, glob: str | None) -> list[int]:
        if self.space == "weights":
            return self.weights(glob)
        found = [
            index
            for index in self.graph.forward_order
            if self.graph.nodes[index].weighted and _selected(self.owners[index].module, glob)
        ]
        return [self.tensor(TensorKey(index, 0)) for index in found]

    def weights(self, glob: str | None) -> list[int]:
        """Probes of the weights that learn, and of their parts by what they read.

        A weight that is used several times reads different things at the same place: it has no parts.
        """
        axes = channel_axes(self.graph)
        signals = []
        for uses in learning_weights(self.graph):
            index = uses[0]
            if not _selected(self.owners[index].module, glob):
                continue
            signals.append(self.weight(uses, ()))
            alone = len(uses) == 1 and self.graph.nodes[index].weighted
            found = reads(self.graph, index, axes) if alone else []
            for start, stop, key in found:
                probe = self.weight(uses, (start, stop)) if len(found) > 1 else signals[-1]
                order = self.place[self.cut_from.get(key, key).node]
                self.slices.append(Slice(probe, index, self.source(key), order, start, stop))
        return signals

    def source(self, key: TensorKey) -> str:
        """Name of a tensor that layers read: alike for every spelling of a split."""
        node = self.graph.nodes[key.node]
        own = self.owners[key.node].module if node.weighted else self.names[key.node]
        return self.part_sites.get(key, own)

    def weight(self, uses: Sequence[int], inputs: tuple[int, ...]) -> int:
        """Probe of a weight, or of the part that reads some input channels; named after its first use."""
        node = uses[0]
        part = f" of inputs {inputs[0]} to {inputs[1] - 1}" if inputs else ""
        part = f", {len(uses)} uses" if len(uses) > 1 else part
        outers = [self.outer(use) for use in uses]
        shape = self.graph.nodes[node].weight
        if inputs:
            axis = input_axis(self.graph.nodes[node])
            shape = (*shape[:axis], inputs[1] - inputs[0], *shape[axis + 1 :])
        self.built.append(
            Probe(
                node=node,
                position=0,
                accumulated=True,
                name=f"{self.names[node]} weight{part}",
                module=self.owners[node].module,
                stage=self.stages[node],
                depth=self.graph.depths[node],
                order=self.place[node],
                shape=(self.sizes.n, *shape),
                outer=None if None in outers else outers[0],
                weight=True,
                inputs=inputs,
                uses=tuple(zip(uses, outers, strict=True)) if len(uses) > 1 else (),
            )
        )
        return len(self.built) - 1

    def outer(self, node: int) -> int | None:
        """How the gradient at a layer's output reads as one row a sample; None where it does not."""
        if folded_in_channels(self.graph.nodes[node], self.sizes.n):
            return 1
        found = layout(self.sizes, TensorKey(node, 0))
        return None if found is None else found.outer

    def loss(self, output: TensorKey | None) -> int | None:
        if output is not None:
            return self.tensor(output)
        weighted = [i for i in self.graph.forward_order if self.graph.nodes[i].weighted]
        return self.tensor(TensorKey(weighted[-1], 0)) if weighted else None

    def tensor(self, key: TensorKey) -> int:
        """Probe of an accumulated gradient."""
        edges = self.graph.consumers.get(key, [])
        if len(edges) == 1 and self._passes_on(edges[0]):
            return self.tensor(TensorKey(edges[0].consumer, 0))
        return self._probe(key.node, key.output, True, key)

    def edge(self, edge: Edge) -> int:
        """Probe of one contribution."""
        key = TensorKey(edge.producer, edge.output)
        if len(self.graph.consumers[key]) == 1:
            return self.tensor(key)
        if self._passes_on(edge):
            return self.tensor(TensorKey(edge.consumer, 0))
        return self._probe(edge.consumer, edge.slot, False, key)

    def _passes_on(self, edge: Edge) -> bool:
        """An addition hands one buffer to all its inputs: read it once."""
        node = self.graph.nodes[edge.consumer]
        same = node.shapes[0] == self.graph.shape(TensorKey(edge.producer, edge.output))
        weighted = self.graph.nodes[edge.producer].weighted  # a signal keeps its own name
        return node.operation == "Add" and node.detail.get("alpha") == 1 and same and not weighted

    def _probe(self, node: int, position: int, accumulated: bool, key: TensorKey) -> int:
        name = (node, position, accumulated)
        if name not in self.probes:
            found = layout(self.sizes, key)
            self.probes[name] = len(self.built)
            self.built.append(
                Probe(
                    node=node,
                    position=position,
                    accumulated=accumulated,
                    name=self.names[node],
                    module=self.owners[node].module,
                    stage=self.stages[node],
                    depth=self.graph.depths[node],
                    order=self.place[node],
                    shape=self.graph.shape(key),
                    outer=None if found is None else found.outer,
                )
            )
        return self.probes[name]

    def fork(self, fork: Fork) -> Group:
        readers = [self.names[self.branches.visible_consumer(edge)] for edge in fork.edges]
        named = fork.labels[0].startswith("branch")
        labels = numbered([f"to {reader}" for reader in readers], "{} ({})") if named else fork.labels
        return Group(
            where="fork",
            kind=fork.kind,
            form="",
            site=self.part_sites.get(fork.source, self.names[fork.source.node]),
            stage=self.stages[fork.source.node],
            labels=tuple(labels),
            members=tuple((self.edge(edge),) for edge in fork.edges),
            total=self.tensor(fork.source),
            channels=(),
            axis=1,
            weighted=_lengths(fork.ways),
            merge=self.names[fork.merge],
            source=(fork.source.node, fork.source.output),
        )

    def split(self, split: PartialSplit) -> Iterable[Group]:
        site = self.split_sites[split]
        cut = split.form != "project"
        alone = cut and sum(s.source == split.source for s in self.branches.splits) == 1
        readers = self.graph.consumers[split.source]
        pure = alone and len(readers) == (1 if split.form == "split" else len(split.parts))
        group = Group(
            where="split",
            kind=split.kind,
            form=split.form,
            site=site,
            stage=self.stages[split.source.node] if cut else self.stages[split.parts[0].key.node],
            labels=split.labels,
            members=tuple((self.tensor(part.key),) for part in split.parts),
            total=self.tensor(split.source) if pure else None,
            channels=tuple(part.channels for part in split.parts if part.channels is not None),
            axis=split.axis,
            weighted=_lengths(split.ways),
            merge=self.names[split.merge],
            source=(split.source.node, split.source.output),
        )
        yield group
        if split.kind == "parallel" and all(split.merge_edges):
            members = tuple(tuple(self.edge(e) for e in edges) for edges in split.merge_edges)
            yield Group(
                **{**vars(group), "where": "merge", "members": members, "total": None, "channels": ()}
            )

    def _part_sites(self) -> dict[TensorKey, str]:
        """A part of a split is named by the split, however it is spelt."""
        return {
            part.key: f"{self.split_sites[split]}, {label}"
            for split in self.branches.splits
            for part, label in zip(split.parts, split.labels, strict=True)
        }

    def _split_sites(self) -> dict[PartialSplit, str]:
        """The module that cuts, and which of its splits in forward order."""
        splits = self.branches.splits
        names = numbered([f"{self._common_module(split)}:partial split" for split in splits], "{}#{}")
        return dict(zip(splits, names, strict=True))

    def _common_module(self, split: PartialSplit) -> str:
        """The module that does the cutting: the common part of the paths of both ends."""
        paths = [self.owners[part.key.node].module.split(".") for part in split.parts]
        if split.form != "project":
            return ".".join(paths[0]) or "(model)"
        shared: list[str] = []
        for names in zip(*paths, strict=False):
            if len(set(names)) > 1:
                break
            shared.append(names[0])
        return ".".join(shared) or "(model)"


def _lengths(ways: Sequence[Way]) -> tuple[int, ...]:
    return tuple(way.weighted for way in ways)


def _selected(module: str, glob: str | None) -> bool:
    return glob is None or fnmatch.fnmatchcase(module, glob)
