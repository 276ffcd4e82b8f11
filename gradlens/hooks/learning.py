"""The weight that an operation hands a gradient to: which parameter it is, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch.autograd.graph import Node as AutogradNode

from gradlens.graph import ops
from gradlens.graph.nodes import Shape

Constants = Mapping[AutogradNode, frozenset[str]]
"""Nodes made of parameters alone, with the names of those."""
Origin = tuple[AutogradNode, int]
"""An output of a live node: a parameter, a part of one, or what is computed from some."""


class Learning(NamedTuple):
    """A weight that learns.

    Attributes:
        shape: as the operation reads it; empty where there is no such weight.
        parameter: number of the parameter, or part of one, that it is; -1 where there is none.
        slot: the input it is.
        maker: number of the node that this is an output of.
        roots: names of the parameters it is made of.
        others: names of those that the operation reads otherwise.
        turned: the parameter of a linear layer stands as ``[in, out]``, of an embedding as ``[width, words]``.
    """

    shape: Shape = ()
    parameter: int = -1
    slot: int = 0
    maker: int = -1
    roots: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    turned: bool = False


def learning_weight(
    node: AutogradNode,
    operation: str,
    constant: Constants,
    families: Mapping[AutogradNode, str],
    numbers: dict[Origin, int],
) -> Learning:
    """The weight of a node.

    Args:
        node: live.
        operation: its family.
        constant: nodes made of parameters alone.
        families: operation of every node.
        numbers: of the parameters met so far; grows.
    """
    slot = _slot(node, operation, constant, families)
    functions = node.next_functions
    read = {
        place: (one, output)
        for place, (one, output) in enumerate(functions)
        if one is not None and one in constant
    }
    others = sorted(frozenset().union(*(constant[one] for place, (one, _) in read.items() if place != slot)))
    if slot not in read:
        return Learning(others=tuple(others))
    origin, turns, shape = _origin(*read[slot], families)
    return Learning(
        shape=shape,
        parameter=numbers.setdefault(origin, len(numbers)),
        slot=slot,
        maker=numbers.setdefault((origin[0], -1), len(numbers)),
        roots=tuple(sorted(constant[read[slot][0]])),
        others=tuple(others),
        turned=(operation in ops.TRANSPOSED) != bool(turns % 2),
    )


def shapes(node: AutogradNode) -> tuple[Shape, ...]:
    """Shape of each output of a node."""
    metadata = node._input_metadata
    return tuple(tuple(int(size) for size in entry.shape) for entry in metadata)


def _slot(
    node: AutogradNode,
    operation: str,
    constant: Constants,
    families: Mapping[AutogradNode, str],
) -> int:
    """The input that is the weight; -1 where the operation has none."""
    if operation in ops.PRODUCTS:
        return _gain(node, constant, families)
    return 1 if operation in ops.NORMS else ops.WEIGHTED.get(operation, (0, -1))[1]


def _gain(node: AutogradNode, constant: Constants, families: Mapping[AutogradNode, str]) -> int:
    """The weight of a normalisation that is spelt out: ``x · rsqrt(mean(x²)) · weight``, as RMSNorm is on a CPU."""
    inputs = [producer for producer, _ in node.next_functions]
    for slot, producer in enumerate(inputs):
        other = inputs[1 - slot] if len(inputs) == 2 else None
        if producer in constant and other is not None and _is_normalised(other, families):
            return slot
    return -1


def _is_normalised(node: AutogradNode, families: Mapping[AutogradNode, str]) -> bool:
    while families.get(node) in ops.COPIES and node.next_functions[0][0] is not None:
        node = node.next_functions[0][0]  # a cast back to half precision
    readers = [producer for producer, _ in node.next_functions]
    return families.get(node) in ops.PRODUCTS and any(families.get(one) == "Rsqrt" for one in readers if one)


def _origin(
    node: AutogradNode, output: int, families: Mapping[AutogradNode, str]
) -> tuple[Origin, int, Shape]:
    """What a weight is a view of, how often its axes are exchanged on the way, and its shape there.

    A part of a parameter, or one that is computed, is a thing of its own: the three projections of attention
    may be rows of one parameter. What an instance norm repeats for each image is read before the repetition.
    """
    turns, shape = 0, shapes(node)[output]
    while families.get(node) in ops.TRANSPARENT or families.get(node) == "Repeat":
        turns += families[node] in ops.AXIS_MOVES
        producer, place = node.next_functions[0]
        if producer is None:
            break
        if families[node] == "Repeat":
            shape = shapes(producer)[place]
        node, output = producer, place
    return (node, output), turns, shape
