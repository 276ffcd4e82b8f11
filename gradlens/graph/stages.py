"""The stage of every operation; stages make different architectures comparable.

A stage consists of all operations at one output stride. In networks of one resolution each block is a stage.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from gradlens.graph.channels import mixes_positions
from gradlens.graph.features import Features
from gradlens.graph.nodes import Graph, Node
from gradlens.graph.owners import OUTSIDE, Owner
from gradlens.graph.parts import detector_stages
from gradlens.graph.stage_order import HEAD, LOSS

RESIZES = ("MaxPool", "AvgPool", "Upsample")
GLOBAL_POOLINGS = {"Mean", "Sum", "Amax", "AdaptiveAvgPool1D", "AdaptiveAvgPool2D", "AdaptiveMaxPool2D"}
_BLOCK = re.compile(r"^((?:[^.]+\.)*?(?:\d+|[^.]*_\d+))(?:\.|$)")


def stages(graph: Graph, owners: Sequence[Owner], image: Sequence[int], n: int) -> list[str]:
    """Return the stage label of each node.

    Args:
        graph: the graph.
        owners: owner of each node.
        image: spatial size of the input, for example ``(224, 224)``; empty if it has none.
        n: samples in the batch.

    Returns:
        The output stride as text (``"8"``), ``"head"`` after the last layer that has positions,
        ``"loss"`` outside the model; for networks of one resolution the block's module path; for detectors also the
        parts of neck and heads (see ``graph.parts``).
        Pooled side branches (squeeze-and-excitation) belong to the stage around them.
    """
    pooled = _pooled(graph, n)
    counts = _counts(graph, image, n, pooled)
    strides = [_stride(math.prod(image) / count, len(image)) if count else None for count in counts]
    detector = detector_stages(Features(graph, owners, counts, strides, pooled))
    if detector is not None:
        return detector
    returning = _returning(graph, pooled)
    labels = _label(graph, strides, returning)
    heads = {owners[i].module for i, node in enumerate(graph.nodes) if node.weighted and labels[i] == HEAD}
    for i, owner in enumerate(owners):  # the head of an earlier call of a network that is called twice
        if owner.module in heads and pooled[i] and not returning[i]:
            labels[i] = HEAD
    resolutions = {labels[i] for i, node in enumerate(graph.nodes) if node.weighted} - {HEAD}
    if len(resolutions) < 2:
        labels = _blocks(owners, labels)
    return [LOSS if owner == OUTSIDE else label for owner, label in zip(owners, labels, strict=True)]


def positions(node: Node, n: int) -> int:
    """Return the positions per sample in a weighted layer's output, pixels or tokens; 0 if unknown."""
    shape = node.shapes[0]
    if node.kernel:
        return math.prod(shape[2:])
    rows = math.prod(shape[:-1])
    return rows // n if n and rows % n == 0 else 0


def _counts(graph: Graph, image: Sequence[int], n: int, pooled: Sequence[bool]) -> list[int]:
    """Return the positions per sample of each layer or pooling; 0 for other nodes."""
    mixing = mixes_positions(graph)
    return [
        _resized_positions(node, n) if image and not pooled[i] and not mixing[i] else 0
        for i, node in enumerate(graph.nodes)
    ]


def _resized_positions(node: Node, n: int) -> int:
    if node.operation.startswith(RESIZES):
        return math.prod(node.shapes[0][2:])
    return positions(node, n) if node.weighted else 0


def _stride(pixels: float, axes: int) -> int:
    """Return the stride per axis if each position covers ``pixels`` pixels."""
    return 1 << max(0, round(math.log2(pixels) / axes))


def _pooled(graph: Graph, n: int) -> list[bool]:
    """Return, by node, whether its value is pooled: after a global pooling or flattening, until joined with a map."""
    pooled = [False] * len(graph.nodes)
    for index in graph.forward_order:
        node = graph.nodes[index]
        sources = [pooled[edge.producer] for edge in graph.inputs.get(index, ())]
        flat = node.weighted and not node.kernel and positions(node, n) == 1
        pooled[index] = flat or _pools(node) or (bool(sources) and all(sources))
    return pooled


def _pools(node: Node) -> bool:
    shape = node.shapes[0] if node.shapes else ()
    return node.operation in GLOBAL_POOLINGS and (len(shape) <= 2 or math.prod(shape[2:]) == 1)


def _returning(graph: Graph, pooled: Sequence[bool]) -> list[bool]:
    """Return, by node, whether a path leads back to positions, as from a side branch, unlike from the head."""
    returning = [False] * len(graph.nodes)
    for index in reversed(graph.forward_order):
        following = [edge.consumer for edge in graph.readers.get(index, ())]
        returning[index] = any(not pooled[node] or returning[node] for node in following)
    return returning


def _label(graph: Graph, strides: Sequence[int | None], returning: Sequence[bool]) -> list[str]:
    """Return the label of each node; nodes without a stride take the label of the previous node."""
    labels = [HEAD] * len(graph.nodes)
    order = graph.forward_order
    known = [rank for rank, index in enumerate(order) if strides[index] is not None]
    last = max((rank for rank in known if graph.nodes[order[rank]].weighted), default=-1)
    later = [rank for rank, index in enumerate(order) if rank > last and graph.nodes[index].weighted]
    head = next((rank for rank in later if not returning[order[rank]]), len(order))
    current = next((strides[index] for index in order if strides[index] is not None), None)
    for index in order[:head]:
        current = strides[index] or current
        labels[index] = str(current) if current is not None else HEAD
    return labels


def _blocks(owners: Sequence[Owner], labels: Sequence[str]) -> list[str]:
    matches = [_BLOCK.match(owner.module) for owner in owners]
    return [match.group(1) if match else label for match, label in zip(matches, labels, strict=True)]
