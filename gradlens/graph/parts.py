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

import re
from collections.abc import Sequence

from gradlens.graph.features import Features
from gradlens.graph.neck import Neck
from gradlens.graph.owners import OUTSIDE

TASKS = {
    "ctr": r"ctr|center|centre",
    "obj": r"obj|conf",
    "mask": r"mask",
    "keypoint": r"keypoint|kps|kpt|pose",
    "cls": r"cls|class|score|logit",
    "box": r"box|reg|loc(?!k)",
}
"""By task, what the name of a module of its head contains, the more specific first."""


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
