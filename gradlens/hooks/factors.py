"""Products by constants outside the model, such as the bins that a loss multiplies an output by: they are no layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node as AutogradNode

from gradlens.graph.nodes import Graph
from gradlens.graph.owners import OUTSIDE, Owner

SAVED = ("_saved_weight", "_saved_self", "_saved_mat1", "_saved_mat2")
"""Where autograd keeps the factors of a product."""
ROOT = ""
"""Path of the model itself, whose forward may compute the loss."""


def outside_factors(
    model: nn.Module, graph: Graph, nodes: Sequence[AutogradNode], owners: Sequence[Owner]
) -> frozenset[int]:
    """Return the nodes that read a constant as their weight which the model does not hold.

    They are computed outside the model, or by the model itself after its last trainable layer.

    Args:
        model: the network.
        graph: the graph.
        nodes: the live nodes.
        owners: owner of each node.
    """
    after = _after_layers(graph)
    asked = [
        index
        for index, node in enumerate(graph.nodes)
        if node.weighted and not node.roots
        and (owners[index] == OUTSIDE or (owners[index].module == ROOT and after[index]))
    ]  # fmt: skip
    if not asked:
        return frozenset()
    held = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers())}
    return frozenset(index for index in asked if held.isdisjoint(_factors(nodes[index])))


def without(graph: Graph, factors: frozenset[int]) -> Graph:
    """Return the graph with these nodes as operations without a weight."""
    if not factors:
        return graph
    nodes = tuple(
        replace(node, weighted=False, kernel=()) if index in factors else node
        for index, node in enumerate(graph.nodes)
    )
    return Graph(nodes, graph.edges)


def _after_layers(graph: Graph) -> list[bool]:
    """Return, by node, whether no trainable layer follows."""
    followed = [False] * len(graph.nodes)
    for index in reversed(graph.forward_order):
        readers = [edge.consumer for edge in graph.readers.get(index, ())]
        followed[index] = any(followed[reader] or bool(graph.nodes[reader].roots) for reader in readers)
    return [not value for value in followed]


def _factors(node: AutogradNode) -> set[int]:
    """Return the storages of the tensors that a product saves."""
    storages = set()
    for name in SAVED:
        try:
            saved = getattr(node, name, None)
        except RuntimeError:  # changed in place or freed
            continue
        if isinstance(saved, Tensor):
            storages.add(_storage(saved))
    return storages


def _storage(tensor: Tensor) -> int:
    """Return the address of a tensor's memory; of tensors without any, one that no other tensor has."""
    if tensor.layout is not torch.strided or not tensor.numel() or tensor.is_meta:
        return id(tensor)
    return tensor.untyped_storage().data_ptr()
