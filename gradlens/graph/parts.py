"""The parts of a detector: backbone, neck and heads, read from the graph.

A detector is a network whose last layers lie at several output strides, or that reads regions of its features. Stages
of its backbone are output strides (``"8"``), as those of a classifier. The *head* of a level (``"head 8 box"``) is what
leads to the outputs of this level alone, as deep as it is at every level. The *neck* starts at the first upsampling of
features: its layers are top-down (``"neck 8 top-down"``) until a strided layer makes them bottom-up. What precedes the
upsampling belongs to the neck if it is a lateral, or in a module of the neck. A layer that is called for several levels
has one signal for each, in the stage of that level. Layers behind a pooling of regions are ``"head roi"``. Names of
modules tell the task of a head, and nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gradlens.graph import ops
from gradlens.graph.nodes import Graph
from gradlens.graph.owners import OUTSIDE, Owner

REGIONS = ("roialign", "roipool")
REPEATS = {"Expand", "Repeat", "RepeatInterleave"}
TASKS = {
    "ctr": r"ctr|center|centre",
    "obj": r"obj|conf",
    "mask": r"mask",
    "keypoint": r"keypoint|kps|kpt|pose",
    "cls": r"cls|class|score|logit",
    "box": r"box|reg|loc(?!k)",
}
"""By task, what the name of a module of its head contains, the more specific first."""


@dataclass(frozen=True)
class Features:
    """What the shapes of a graph say.

    Attributes:
        graph: the graph.
        owners: owner of each node.
        counts: by node, the positions per sample of a layer or a resizing; 0 for other nodes.
        strides: by node, its output stride; None where ``counts`` is 0.
        pooled: by node, whether its value is pooled.
    """

    graph: Graph
    owners: Sequence[Owner]
    counts: Sequence[int]
    strides: Sequence[int | None]
    pooled: Sequence[bool]

    @cached_property
    def nominal(self) -> dict[int, int]:
        """The output stride of each number of positions.

        A map of half the side has twice the stride, also where the sides are too small for a stride to be rounded.
        """
        known: dict[int, int] = {}
        pairs = {(count, stride) for count, stride in zip(self.counts, self.strides, strict=True) if stride}
        for count, stride in sorted(pairs, reverse=True):
            coarser = [known[other] for other in known if other >= 2 * count]
            known[count] = max(stride, 2 * max(coarser, default=0))
        return known

    @cached_property
    def regions(self) -> list[bool]:
        """By node, whether it is behind a pooling of regions."""
        behind = [False] * len(self.graph.nodes)
        for index in self.graph.forward_order:
            operation = self.graph.nodes[index].operation.lower().replace("_", "")
            inputs = self.graph.inputs.get(index, ())
            behind[index] = any(name in operation for name in REGIONS) or any(
                behind[edge.producer] for edge in inputs
            )
        return behind

    @cached_property
    def layers(self) -> list[int]:
        """The weighted layers of the model in forward order."""
        return [
            i for i in self.graph.forward_order if self.graph.nodes[i].weighted and self.owners[i] != OUTSIDE
        ]

    @cached_property
    def ahead(self) -> list[int]:
        """By node, the weighted layers on the longest path to the loss, with the node itself."""
        depth, layers = [0] * len(self.graph.nodes), set(self.layers)
        for index in reversed(self.graph.forward_order):
            readers = self.graph.readers.get(index, ())
            depth[index] = max((depth[edge.consumer] for edge in readers), default=0) + (index in layers)
        return depth

    @cached_property
    def outputs(self) -> dict[int, int]:
        """The output stride of each last layer with positions."""
        return {
            i: self.nominal[self.counts[i]]
            for i in self.layers
            if self.ahead[i] == 1 and self.counts[i] and not self.pooled[i] and not self.regions[i]
        }


def detector_stages(features: Features) -> list[str] | None:
    """Return the stage of each node of a detector; None for any other network."""
    levels = set(features.outputs.values())
    if len(levels) < 2 and not any(features.regions[i] for i in features.layers):
        return None
    heads = _heads(features)
    neck = Neck(features, heads)
    labels = [""] * len(features.graph.nodes)
    for index in features.graph.forward_order:
        inputs = features.graph.inputs.get(index, ())
        if features.owners[index] == OUTSIDE or not (features.ahead[index] or index in features.outputs):
            labels[index] = "loss"
        elif features.regions[index]:
            labels[index] = _with_task("head roi", features.owners[index].module, inner=False)
        elif index in heads:
            labels[index] = _with_task(f"head {heads[index]}", features.owners[index].module)
        elif features.graph.nodes[index].weighted or not inputs or neck.resized(index):
            labels[index] = neck.label(index)
        else:
            labels[index] = labels[max(inputs, key=lambda edge: neck.ranks[edge.producer]).producer]
    return labels


def _heads(features: Features) -> dict[int, int]:
    """Return the level of each layer of a head.

    These layers lead to one level alone, and are as deep as the head is at every level: what is deeper at some level
    only is a part of the neck. They are in the module that holds the outputs of all levels, if the backbone is not.
    """
    reached: list[frozenset[int]] = [frozenset()] * len(features.graph.nodes)
    for index in reversed(features.graph.forward_order):
        readers = features.graph.readers.get(index, ())
        behind = frozenset[int]().union(*(reached[edge.consumer] for edge in readers))
        regions = any(features.regions[e.consumer] and features.ahead[e.consumer] for e in readers)
        reached[index] = behind | ({features.outputs[index]} if index in features.outputs else set())
        reached[index] |= {0} if regions else set()
    module = _common_module([features.owners[i].module for i in features.outputs])
    if features.layers and _within(features.owners[features.layers[0]].module, module):
        module = ""
    alone = {
        i: next(iter(reached[i]))
        for i in features.layers
        if len(reached[i]) == 1 and 0 not in reached[i] and _within(features.owners[i].module, module)
    }
    depths = [
        max((features.ahead[i] for i in alone if alone[i] == level), default=0)
        for level in set(alone.values())
    ]
    return {i: level for i, level in alone.items() if features.ahead[i] <= min(depths)}


class Neck:
    """Where the features of a detector turn from finer to coarser and back.

    Args:
        features: what the shapes of the graph say.
        heads: the layers of the heads.

    Attributes:
        ranks: rank of each node in forward order.
    """

    def __init__(self, features: Features, heads: Mapping[int, int]) -> None:
        self._features = features
        graph = features.graph
        self.ranks = {index: rank for rank, index in enumerate(graph.forward_order)}
        size = len(graph.nodes)
        self._stride: list[int] = [0] * size
        self._before: list[int] = [0] * size
        for index in graph.forward_order:
            inputs = [edge.producer for edge in graph.inputs.get(index, ())]
            sources = [self._stride[i] for i in inputs if self._stride[i] and not features.pooled[i]]
            carried = [self._stride[i] for i in inputs if self._stride[i]]
            self._before[index] = min(sources, default=0)
            count = 0 if features.regions[index] else features.counts[index] or _expanded(graph, index)
            self._stride[index] = features.nominal.get(count, min(carried, default=0))
        self._turns = self._turned(frozenset())
        self._inside = self._members(heads)
        self._turns = self._turned(self._inside)

    def resized(self, index: int) -> bool:
        """Return whether an operation without a weight changes the number of positions."""
        return self._before[index] not in (0, self._stride[index])

    def label(self, index: int) -> str:
        """Return the stage of a layer of the backbone or the neck."""
        stride, turns = self._stride[index], self._turns[index]
        if index not in self._inside and not turns:
            return str(stride) if stride else "head"
        return f"neck {stride} {'top-down' if turns % 2 else 'bottom-up'}"

    def _turned(self, inside: Collection[int]) -> list[int]:
        """Return, by node, how often features have turned from coarser to finer (1, 3, ...) and back (2, 4, ...)."""
        turns = [0] * len(self._features.graph.nodes)
        for index in self._features.graph.forward_order:
            inputs = self._features.graph.inputs.get(index, ())
            turn = max([turns[edge.producer] for edge in inputs] + [int(index in inside)])
            before, stride = self._before[index], self._stride[index]
            enlarged = self._features.graph.nodes[index].operation.startswith("Upsample") and before == stride
            finer, coarser = before > stride > 0 or enlarged, 0 < before < stride
            turns[index] = turn + ((finer and turn % 2 == 0) or (coarser and turn % 2 == 1))
        return turns

    def _members(self, heads: Mapping[int, int]) -> frozenset[int]:
        """Return the layers of the neck: behind an upsampling, in a module with such layers, or a lateral."""
        owners, layers = self._features.owners, self._features.layers
        own = [i for i in layers if i not in heads and not self._features.regions[i]]
        behind = {i for i in self._features.graph.forward_order if self._turns[i] and i not in heads}
        if not behind:
            return frozenset()
        backbone = set(_ancestors(owners[layers[0]].module))
        modules = {
            path for i in own if i in behind for path in _ancestors(owners[i].module) if path not in backbone
        }
        inside = {i for i in own if i in behind or modules & set(_ancestors(owners[i].module))}
        return frozenset(inside | self._laterals(set(own) - inside))

    def _laterals(self, rest: Collection[int]) -> set[int]:
        """Return the layers from which no path of the backbone leads to a coarser layer."""
        graph = self._features.graph
        coarsest = [0] * len(graph.nodes)
        for index in reversed(graph.forward_order):
            if not self._turns[index]:
                readers = [edge.consumer for edge in graph.readers.get(index, ())]
                own = self._stride[index] if index in rest else 0
                coarsest[index] = max([own, *(coarsest[reader] for reader in readers)])
        end = max((self._stride[i] for i in rest), default=0)
        return {i for i in rest if coarsest[i] == self._stride[i] < end}


def _expanded(graph: Graph, index: int) -> int:
    """Return the positions of a map that is enlarged by repeating its entries and reshaping; else 0."""
    node, reader = graph.nodes[index], index
    if node.operation not in ops.VIEWS or len(node.shapes[0]) != 4:
        return 0
    for _ in range(3):
        inputs = graph.inputs.get(reader, ())
        if len(inputs) != 1:
            return 0
        reader = inputs[0].producer
        if graph.nodes[reader].operation in REPEATS:
            return math.prod(node.shapes[0][2:])
        if graph.nodes[reader].operation not in ops.COPIES:
            return 0
    return 0


def _with_task(label: str, module: str, *, inner: bool = True) -> str:
    """Return the label of a head with its task, if the name of its module tells it.

    The innermost name counts, but a head of regions is named for its outermost, and one of proposals is ``rpn``.
    """
    words = module.lower().split(".")
    if "rpn" in words:
        return f"{label} rpn"
    for word in reversed(words) if inner else words[1:]:
        task = next((task for task, pattern in TASKS.items() if re.search(pattern, word)), "")
        if task:
            return f"{label} {task}"
    return label


def _common_module(modules: Sequence[str]) -> str:
    """Return the module that holds all of several, or the parent of the only one."""
    if len(set(modules)) < 2:
        return modules[0].rpartition(".")[0] if modules else ""
    common: list[str] = []
    for names in zip(*(module.split(".") for module in modules), strict=False):
        if len(set(names)) > 1:
            break
        common.append(names[0])
    return ".".join(common)


def _within(module: str, outer: str) -> bool:
    return not outer or module == outer or module.startswith(f"{outer}.")


def _ancestors(module: str) -> list[str]:
    """Return the paths of a module and of those that hold it, without the model itself."""
    names = module.split(".") if module else []
    return [".".join(names[: end + 1]) for end in range(len(names))]
