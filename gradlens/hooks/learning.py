"""The weight that an operation hands a gradient to: which parameter it is, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch.autograd.graph import Node as AutogradNode

from gradlens.hooks import ops
from gradlens.hooks.graph import Shape

Origin = tuple[AutogradNode, int]
"""An output of a live node: a parameter, a part of one, or what is computed from some."""


class Learning(NamedTuple):
    """A weight that learns.

    Attributes:
        shape: as the operation reads it; empty where there is no such weight.
        parameter: number of the parameter, or part of one, that it is; -1 where there is none.
        slot: the input it is.
        others: parameters that the operation reads otherwise.
        turned: the parameter of a linear layer stands as ``[in, out]``, of an embedding as ``[width, words]``.
    """

    shape: Shape = ()
    parameter: int = -1
    slot: int = 0
    others: tuple[int, ...] = ()
    turned: bool = False


def learning_weight(
    node: AutogradNode,
    operation: str,
    constant: set[AutogradNode],
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
    read = {place: (one, output) for place, (one, output) in enumerate(functions) if one in constant}
    origins = {place: _origin(*entry, families) for place, entry in read.items()}
    known = {place: numbers.setdefault(origin, len(numbers)) for place, (origin, _) in origins.items()}
    others = tuple(number for place, number in known.items() if place != slot)
    if slot not in read:
        return Learning(others=others)
    producer, output = read[slot]
    turned = (operation in ops.TRANSPOSED) != bool(origins[slot][1] % 2)
    return Learning(shapes(producer)[output], known[slot], slot, others, turned)


def shapes(node: AutogradNode) -> tuple[Shape, ...]:
    """Shape of each output of a node."""
    metadata = node._input_metadata
    return tuple(tuple(int(size) for size in entry.shape) for entry in metadata)


def _slot(
    node: AutogradNode,
    operation: str,
    constant: set[AutogradNode],
    families: Mapping[AutogradNode, str],
) -> int:
    """The input that is the weight; -1 where the operation has none."""
    if operation in ops.PRODUCTS:
        return _gain(node, constant, families)
    return 1 if operation in ops.NORMS else ops.WEIGHTED.get(operation, (0, -1))[1]


def _gain(node: AutogradNode, constant: set[AutogradNode], families: Mapping[AutogradNode, str]) -> int:
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


def _origin(node: AutogradNode, output: int, families: Mapping[AutogradNode, str]) -> tuple[Origin, int]:
    """What a weight is a view of, and how often its axes are exchanged on the way.

    A part of a parameter, or one that is computed, is a thing of its own: the three projections of attention
    may be rows of one parameter.
    """
    turns = 0
    while families.get(node) in ops.TRANSPARENT:
        turns += families[node] in ops.AXIS_MOVES
        producer, output = node.next_functions[0]
        if producer is None:
            break
        node = producer
    return (node, output), turns
