"""The inputs of a layer: the tensors that its node saves, and the source of each input channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, Node, Shape, TensorKey

SAVED = {
    "Convolution": (
        "input", "weight", "stride", "padding", "dilation", "transposed", "output_padding", "groups",
    ),
    "Addmm": ("mat1", "mat2", "alpha"),
    "Mm": ("self", "mat2"),
    "Bmm": ("self", "mat2"),
    "Mv": ("self",),
    "Linear": ("input",),
    "Embedding": ("indices", "padding_idx", "scale_grad_by_freq", "weight_sym_argsize_0"),
    "NativeBatchNorm": ("input", "running_mean", "running_var", "result1", "result2", "training", "eps"),
    "CudnnBatchNorm": ("input", "running_mean", "running_var", "result1", "result2", "training", "epsilon"),
    "NativeLayerNorm": ("input", "normalized_shape", "result1", "result2"),
    "NativeGroupNorm": ("input", "group", "result1", "result2"),
    "Mul": ("self", "other"),
}  # fmt: skip
"""By operation, the saved attributes from which the gradient of its weight is computed."""


class Read(NamedTuple):
    """A run of input channels, from ``start`` to ``stop``, and the tensor that they come from."""

    start: int
    stop: int
    source: TensorKey


def reads(graph: Graph, layer: int, axes: Sequence[int | None]) -> list[Read]:
    """Return the sources of a layer's input channels; empty if they cannot be followed.

    Looks through operations that keep the channels (normalisation, activation, pooling) to the
    concatenations in front of the layer, nested ones too.

    Args:
        graph: the graph.
        layer: a weighted node.
        axes: ``channel_axes`` of the graph.
    """
    node = graph.nodes[layer]
    if node.operation not in ops.WEIGHTED or node.left or len(node.weight) < 2:
        return []
    slot, _ = ops.WEIGHTED[node.operation]
    edge = next((edge for edge in graph.inputs.get(layer, ()) if edge.slot == slot), None)
    sources = [] if edge is None else _sources(graph, edge, axes, 0)
    return sources if len(sources) == 1 or _ungrouped(node, sources) else []


def _ungrouped(node: Node, sources: Sequence[Read]) -> bool:
    """Return whether each output reads all inputs, so that a part of the inputs is a part of the weight."""
    axis = input_axis(node)
    return bool(sources) and len(node.weight) > axis and node.weight[axis] == sources[-1].stop


def _sources(graph: Graph, edge: Edge, axes: Sequence[int | None], start: int) -> list[Read]:
    """Return the sources of the channels of a tensor, counted from ``start``."""
    index, axis = edge.producer, axes[edge.producer]
    shape: Shape = graph.nodes[index].shapes[edge.output]
    if axis is None or axis >= len(shape):
        return []
    node, inputs = graph.nodes[index], list(graph.inputs.get(index, ()))
    if node.operation == "Cat" and node.detail.get("dim", 0) % len(shape) == axis:
        sources: list[Read] = []
        for entering in sorted(inputs, key=lambda edge: edge.slot):
            sources += _sources(graph, entering, axes, sources[-1].stop if sources else start)
        return sources if sources and sources[-1].stop - start == shape[axis] else []
    passes = not node.weighted and len(inputs) == 1 and node.operation not in ops.SPLITS and edge.output == 0
    if passes and _keeps(graph, inputs[0], axes, shape[axis]):
        return _sources(graph, inputs[0], axes, start)
    return [Read(start, start + shape[axis], TensorKey(index, edge.output))]


def _keeps(graph: Graph, edge: Edge, axes: Sequence[int | None], channels: int) -> bool:
    axis = axes[edge.producer]
    shape: Shape = graph.nodes[edge.producer].shapes[edge.output]
    return axis is not None and axis < len(shape) and shape[axis] == channels


def input_axis(node: Node) -> int:
    """Return the axis of a layer's weight that runs along its inputs, as the operation reads it."""
    return 0 if node.operation in ops.TRANSPOSED else 1


def folded_in_channels(node: Node, n: int) -> bool:
    """Return whether a node is an instance norm.

    It is a batch norm over ``[1, n · k · c, …]`` whose weight of ``c`` is repeated for each image.
    """
    shape = node.shapes[0]
    normalises = "BatchNorm" in node.operation and len(shape) > 1 and len(node.weight) == 1
    return normalises and shape[0] == 1 < n and shape[1] % (n * node.weight[0]) == 0


def learning_weights(graph: Graph) -> list[list[int]]:
    """Return the trainable weights with per-sample gradients, each as the list of nodes that use it.

    The list is in forward order. All uses of a parameter form one weight, as if an embedding and the last layer
    share it.
    """
    uses: dict[tuple[int, Shape, bool], list[int]] = {}
    for index in graph.forward_order:
        node = graph.nodes[index]
        if node.weight and node.operation in SAVED:
            parameter = -1 - index if node.parameter < 0 else node.parameter
            turned = node.turned and len(node.weight) != 2  # a matrix can be transposed before uses are added
            uses.setdefault((parameter, _stored(node), turned), []).append(index)
    return list(uses.values())


def _stored(node: Node) -> Shape:
    """Return the shape in which the parameter of a linear layer or embedding is stored."""
    plain = node.turned == (node.operation in ops.TRANSPOSED and not node.left)
    return node.weight if plain or len(node.weight) != 2 else node.weight[::-1]
