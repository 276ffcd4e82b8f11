"""Read the live autograd graph of a loss into plain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node as AutogradNode

from gradlens.errors import GradlensError
from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, Node, Shape
from gradlens.hooks.learning import Constants, Origin, learning_weight, shapes


def graph_of(model: nn.Module, loss: Tensor) -> tuple[list[AutogradNode], Graph]:
    """Read the graph of a model's loss (see ``walk``).

    Raises:
        GradlensError: the loss requires no gradient, or its graph cannot be read.
    """
    learning = any(parameter.requires_grad for parameter in model.parameters())
    if loss.grad_fn is None or not learning:
        raise GradlensError("the loss requires no gradient: no parameter of the model requires one")
    return walk([loss.grad_fn], {id(parameter): name for name, parameter in model.named_parameters()})


def walk(roots: Sequence[AutogradNode], parameters: Mapping[int, str]) -> tuple[list[AutogradNode], Graph]:
    """Read the graph of a loss.

    Args:
        roots: the loss's ``grad_fn``, first; it becomes node 0.
        parameters: name of every parameter of the model by its ``id``.

    Returns:
        The live nodes by index (drop them as soon as hooks are registered: they keep the graph's
        saved tensors alive) and their description.

    Raises:
        GradlensError: a compiled function or a reentrant checkpoint hides part of the graph, or the
            loss does not depend on the data.
    """
    order, families = _discover(roots)
    constant = _parameter_only(order, parameters)
    kept = [node for node in order if node not in constant]
    if not kept or kept[0] is not roots[0]:
        raise GradlensError(
            "the loss depends on parameters alone, not on the data: there is no gradient flow"
        )
    index = {node: position for position, node in enumerate(kept)}
    edges = [
        Edge(index[consumer], slot, index[producer], output)
        for consumer in kept
        for slot, (producer, output) in enumerate(consumer.next_functions)
        if producer in index
    ]
    numbers: dict[Origin, int] = {}
    described = tuple(_describe(node, constant, families, numbers) for node in kept)
    return kept, Graph(described, tuple(edges))


def _discover(roots: Sequence[AutogradNode]) -> tuple[list[AutogradNode], dict[AutogradNode, str]]:
    """Return all nodes in breadth-first order, and the family of each."""
    families: dict[AutogradNode, str] = {}
    order: list[AutogradNode] = []
    for root in roots:
        if root not in families:
            families[root] = ops.family(root.name())
            order.append(root)
    for node in order:
        reason = ops.opaque_reason(families[node])
        if reason:
            raise GradlensError(f"the graph holds {node.name()}: {reason}")
        for producer, _ in node.next_functions:
            if producer is not None and producer not in families:
                families[producer] = ops.family(producer.name())
                order.append(producer)
    return order, families


def _parameter_only(
    order: list[AutogradNode], parameters: Mapping[int, str]
) -> dict[AutogradNode, frozenset[str]]:
    """Return nodes computed from parameters alone (leaves, transposed or cast weights), with the parameters' names."""
    constant: dict[AutogradNode, frozenset[str]] = {}
    for node in reversed(_topological(order)):
        if hasattr(node, "variable"):
            if id(node.variable) in parameters:
                constant[node] = frozenset([parameters[id(node.variable)]])
            continue
        operation = ops.family(node.name())
        producers = [producer for producer, _ in node.next_functions]
        if operation in ops.WEIGHTED or operation in ops.NORMS:
            slot = ops.WEIGHTED.get(operation, (0, 1))[0]
            data = producers[slot] if slot < len(producers) else None
            if data is None or data not in constant:
                continue
        known = [producer for producer in producers if producer is not None]
        if not known or not all(producer in constant for producer in known):
            continue
        layer = operation in ops.WEIGHTED or operation in ops.NORMS  # the missing input is a bias
        if layer or len(known) == len(producers) or _shape_explained(node, _shapes_read(node)):
            constant[node] = frozenset().union(*(constant[producer] for producer in known))
    return constant


def _shapes_read(node: AutogradNode) -> list[Shape]:
    """Return the shape of each tensor that a node reads through an edge."""
    functions = node.next_functions
    return [shapes(producer)[output] for producer, output in functions if producer is not None]


def _shape_explained(node: AutogradNode, read: list[Shape]) -> bool:
    """Return whether the tensors that a node reads through its edges determine its shape.

    An input without an edge is a number, or data that requires no gradient, such as the images, which
    add the axis of the samples (``x * gain``, a PReLU or an LSTM on the images).
    """
    try:
        return tuple(torch.broadcast_shapes(*read)) == shapes(node)[0]
    except RuntimeError:
        return False


def _topological(order: list[AutogradNode]) -> list[AutogradNode]:
    """Return the nodes with consumers before producers."""
    waiting: dict[AutogradNode, int] = defaultdict(int)
    for node in order:
        for producer, _ in node.next_functions:
            if producer is not None:
                waiting[producer] += 1
    ready = [node for node in order if waiting[node] == 0]
    for node in ready:
        for producer, _ in node.next_functions:
            if producer is not None:
                waiting[producer] -= 1
                if waiting[producer] == 0:
                    ready.append(producer)
    return ready


def _describe(
    node: AutogradNode,
    constant: Constants,
    families: Mapping[AutogradNode, str],
    numbers: dict[Origin, int],
) -> Node:
    operation = families[node]
    leaf = hasattr(node, "variable")
    weight = _weight(node, operation, constant)
    learns = learning_weight(node, operation, constant, families, numbers)
    return Node(
        operation="Input" if leaf else operation,
        sequence=-1 if leaf else node._sequence_nr(),
        shapes=shapes(node),
        weighted=weight is not None,
        kernel=tuple(weight[2:]) if weight and operation in ops.CONVOLUTIONS else (),
        detail=_detail(node, operation),
        weight=learns.shape,
        parameter=learns.parameter,
        reads=learns.others,
        gain=learns.slot,
        maker=learns.maker,
        roots=learns.roots,
        turned=learns.turned,
    )


def _weight(node: AutogradNode, operation: str, constant: Constants) -> Shape | None:
    """Return the shape of the weight that a layer reads (may be empty if frozen), None for other operations."""
    if operation not in ops.WEIGHTED:
        return None
    _, slot = ops.WEIGHTED[operation]
    functions = node.next_functions
    producer = functions[slot][0] if slot < len(functions) else None
    if producer is None:
        return _frozen_weight(node, operation)
    return shapes(producer)[0] if producer in constant else None


def _frozen_weight(node: AutogradNode, operation: str) -> Shape | None:
    """Return the shape of a weight that requires no gradient: a constant of the node instead of an edge."""
    if operation in {"Bmm", "Baddbmm"}:
        return None
    saved = getattr(node, "_saved_weight", None)
    return tuple(saved.shape) if isinstance(saved, torch.Tensor) else ()


_DETAILS = {
    **dict.fromkeys(ops.SPLITS, ("dim", "split_size", "split_sizes", "self_sym_sizes")),
    "Slice": ("dim", "start", "end", "step", "self_sym_sizes"),
    **dict.fromkeys(("Unbind", "Cat", "Stack"), ("dim",)),
    **dict.fromkeys(("Select", "IndexSelect"), ("dim", "index")),
    "Add": ("alpha",),
    "Permute": ("dims",),
    "Transpose": ("dim0", "dim1"),
}
_WRAP = 1 << 63


def _detail(node: AutogradNode, operation: str) -> dict[str, int | list[int]]:
    """Return saved integers as signed numbers: autograd shows a dimension of -3 as 2⁶⁴ - 3."""
    detail: dict[str, int | list[int]] = _indexed(node) if operation == "Index" else {}
    for name in _DETAILS.get(operation, ()):
        value = getattr(node, f"_saved_{name}", None)
        if isinstance(value, torch.Tensor):
            value = value.reshape(-1).tolist()
        if isinstance(value, (tuple, list)):
            detail[name] = [_signed(int(item)) for item in value]
        elif value is not None:
            detail[name] = _signed(int(value))
    return detail


def _indexed(node: AutogradNode) -> dict[str, int | list[int]]:
    """Return the axis and the entries that ``x[:, entries]`` takes; nothing for any other index."""
    indices = list(getattr(node, "_saved_indices", ()))
    tensors = [index for index in indices if index is not None]
    if len(tensors) != 1 or tensors[0].dim() != 1 or tensors[0].dtype != torch.long:
        return {}
    return {
        "dim": next(i for i, index in enumerate(indices) if index is not None),
        "index": tensors[0].tolist(),
    }


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= _WRAP else value
