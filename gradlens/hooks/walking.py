"""Read the live autograd graph of a loss into plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node as AutogradNode

from gradlens.errors import GradlensError
from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, Node, Shape
from gradlens.hooks.constants import Derived, Reads, constants, derived
from gradlens.hooks.indexing import index_of
from gradlens.hooks.learning import Constants, Origin, learning_weight, shapes, weight_slot
from gradlens.hooks.strided import strided_cut


class Walked(NamedTuple):
    """The graph of a loss.

    Attributes:
        nodes: live nodes by index; drop them as soon as hooks are registered, because they keep the graph's
            saved tensors alive.
        graph: their description.
        derived: what does not derive from the batch, for other passes with the same operations.
    """

    nodes: list[AutogradNode]
    graph: Graph
    derived: Derived


def graph_of(model: nn.Module, loss: Tensor, known: Reads | Derived | None = None) -> Walked:
    """Read the graph of a model's loss (see ``walk``).

    Raises:
        GradlensError: the loss requires no gradient, or its graph cannot be read.
    """
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise GradlensError(
            "the loss requires no gradient: the whole network is frozen, requires_grad is False for all of its "
            "parameters; call model.requires_grad_(True), or for a part of it only"
        )
    if loss.grad_fn is None:
        raise GradlensError(
            "the loss requires no gradient, although parameters of the model do: it is computed under torch.no_grad, "
            "from a detached tensor, or in a reentrant checkpoint of an input that requires none (pass "
            "use_reentrant=False)"
        )
    return walked(
        [loss.grad_fn], {id(parameter): name for name, parameter in model.named_parameters()}, known
    )


def walk(roots: Sequence[AutogradNode], parameters: Mapping[int, str]) -> tuple[list[AutogradNode], Graph]:
    """Read the graph of a loss without a dry pass (see ``walked``); return the live nodes and their description."""
    return walked(roots, parameters)[:2]


def walked(
    roots: Sequence[AutogradNode], parameters: Mapping[int, str], known: Reads | Derived | None = None
) -> Walked:
    """Read the graph of a loss.

    Args:
        roots: the loss's ``grad_fn``, first; it becomes node 0.
        parameters: name of every parameter of the model by its ``id``.
        known: what the dry pass has seen of the batch, or None (see ``constants``).

    Raises:
        GradlensError: a compiled function or a reentrant checkpoint hides part of the graph, or the
            loss does not depend on the data.
    """
    order, families = _discover(roots)
    constant = constants(order, families, parameters, known)
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
    return Walked(kept, Graph(described, tuple(edges)), derived(order, families, constant))


def reachable(root: AutogradNode) -> list[AutogradNode]:
    """Return all operations of a graph, also those that are computed from parameters alone; without its leaves.

    Raises:
        GradlensError: a part of the graph is hidden.
    """
    return [node for node in _discover([root])[0] if not hasattr(node, "variable")]


def family_of(node: AutogradNode) -> str:
    """Return the operation of a node; a function that is written in Python keeps its name in brackets.

    Its class may be called ``Slice`` or ``Add``, but saves nothing of what torch's own operation of that name saves.
    """
    operation = ops.family(node.name())
    cut = strided_cut(node) if operation == "AsStrided" and not isinstance(node, BackwardCFunction) else None
    if cut is not None:
        return cut.operation
    own = isinstance(node, BackwardCFunction) and ops.opaque_reason(operation) is None
    return f"function({operation})" if own else operation


def _discover(roots: Sequence[AutogradNode]) -> tuple[list[AutogradNode], dict[AutogradNode, str]]:
    """Return all nodes in breadth-first order, and the family of each."""
    families: dict[AutogradNode, str] = {}
    order: list[AutogradNode] = []
    for root in roots:
        if root not in families:
            families[root] = family_of(root)
            order.append(root)
    for node in order:
        reason = ops.opaque_reason(families[node])
        if reason:
            raise GradlensError(f"the graph holds {node.name()}: {reason}")
        for producer, _ in node.next_functions:
            if producer is not None and producer not in families:
                families[producer] = family_of(producer)
                order.append(producer)
    return order, families


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
        left=learns.left,
    )


def _weight(node: AutogradNode, operation: str, constant: Constants) -> Shape | None:
    """Return the shape of the weight that a layer reads (may be empty if frozen), None for other operations."""
    slot = -1 if operation in ops.NORMS else weight_slot(node, operation, constant)
    functions = node.next_functions
    if not 0 <= slot < len(functions):
        return () if operation in ops.WEIGHTED else None
    producer, output = functions[slot]
    if producer is None:
        return _frozen_weight(node, operation)
    return shapes(producer)[output] if producer in constant else None


def _frozen_weight(node: AutogradNode, operation: str) -> Shape | None:
    """Return the shape of a weight that requires no gradient: a constant of the node instead of an edge."""
    if operation in {"Bmm", "Baddbmm", "Trilinear"}:
        return None
    saved = getattr(node, "_saved_weight", None)
    return tuple(saved.shape) if isinstance(saved, torch.Tensor) else ()


_DETAILS = {
    **dict.fromkeys(ops.SPLITS, ("dim", "split_size", "split_sizes", "self_sym_sizes")),
    "Slice": ("dim", "start", "end", "step", "self_sym_sizes"),
    **dict.fromkeys(("Unbind", "Cat", "Stack"), ("dim",)),
    **dict.fromkeys(("Select", "IndexSelect"), ("dim", "index")),
    "Add": ("alpha",),
    **dict.fromkeys(("Sum", "Mean"), ("dim",)),
    "Permute": ("dims",),
    "Transpose": ("dim0", "dim1"),
    **dict.fromkeys(
        ("IndexSelect", "IndexAdd", "IndexCopy", "Gather", "Sort", "Scatter", "ScatterAdd"), ("dim",)
    ),
}
_WRAP = 1 << 63


def _detail(node: AutogradNode, operation: str) -> dict[str, int | list[int]]:
    """Return saved integers as signed numbers: autograd shows a dimension of -3 as 2⁶⁴ - 3."""
    if ops.family(node.name()) == "AsStrided" and operation in ops.SLICES:
        cut = strided_cut(node)
        return {} if cut is None else cut.detail
    detail: dict[str, int | list[int]] = _indexed(node) if operation == "Index" else {}
    for name in _DETAILS.get(operation, ()):
        value = getattr(node, f"_saved_{name}", None)
        if isinstance(value, torch.Tensor):
            value = value.reshape(-1).tolist()
        if isinstance(value, (tuple, list)):
            detail[name] = [_signed(int(item)) for item in value]
        elif value is not None:
            detail[name] = _signed(int(value))
    if operation in ops.REORDERING:
        detail |= index_of(node, operation)
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
