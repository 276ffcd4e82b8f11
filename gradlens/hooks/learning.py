"""The trainable weight of an operation: its parameter, and how the operation reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node as AutogradNode

from gradlens.errors import GradlensError
from gradlens.graph import ops
from gradlens.graph.nodes import Shape

Constants = Mapping[AutogradNode, frozenset[str]]
"""Nodes computed from parameters alone, with the names of these parameters."""
Origin = tuple[AutogradNode, int]
"""An output of a live node: a parameter, a part of a parameter, or a value computed from parameters."""


class Learning(NamedTuple):
    """A trainable weight.

    Attributes:
        shape: as the operation reads it; empty if there is no such weight.
        parameter: number of the parameter, or of the part of a parameter; -1 if there is none.
        slot: index of the input that is the weight.
        maker: number of the node that computes it.
        roots: names of the parameters that it is computed from.
        others: names of the parameters that the operation reads in addition.
        turned: whether a linear layer stores its parameter as ``[in, out]``, or an embedding as ``[width, words]``.
        left: whether a product reads it on the left, ``W @ x``.
    """

    shape: Shape = ()
    parameter: int = -1
    slot: int = 0
    maker: int = -1
    roots: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    turned: bool = False
    left: bool = False


def learning_weight(
    node: AutogradNode,
    operation: str,
    constant: Constants,
    families: Mapping[AutogradNode, str],
    numbers: dict[Origin, int],
) -> Learning:
    """Return the weight of a node.

    Args:
        node: a live node.
        operation: its family.
        constant: nodes computed from parameters alone.
        families: operation of every node.
        numbers: numbers of the weights seen so far; new weights are added.
    """
    slot = (
        _gain(node, constant, families)
        if operation in ops.PRODUCTS
        else weight_slot(node, operation, constant)
    )
    functions = node.next_functions
    read = {
        index: (producer, output)
        for index, (producer, output) in enumerate(functions)
        if producer is not None and producer in constant
    }
    others = sorted(
        frozenset().union(*(constant[producer] for index, (producer, _) in read.items() if index != slot))
    )
    if slot not in read:
        return Learning(others=tuple(others))
    origin, turns, shape = _origin(*read[slot], families)
    left = operation in ops.MATRIX_PRODUCTS and slot == ops.MATRIX_PRODUCTS[operation][0]
    repeated = families.get(origin[0]) == "Expand"  # the gradient of the parameter is a sum over the repeats
    return Learning(
        shape=() if repeated else shape,
        parameter=numbers.setdefault(origin, len(numbers)),
        slot=slot,
        maker=numbers.setdefault((origin[0], -1), len(numbers)),
        roots=tuple(sorted(constant[read[slot][0]])),
        others=tuple(others),
        turned=(operation in ops.TRANSPOSED and not left) != bool(turns % 2),
        left=left,
    )


def shapes(node: AutogradNode) -> tuple[Shape, ...]:
    """Return the shape of each output of a node."""
    metadata = node._input_metadata
    try:
        return tuple(tuple(int(size) for size in entry.shape) for entry in metadata)
    except (AttributeError, RuntimeError) as error:  # torch has no sizes for the axes of different lengths
        raise GradlensError(
            f"the graph holds a nested tensor ({node.name()}), whose samples have different shapes, so their gradients "
            "cannot be compared; pad the samples to one shape and mask them"
        ) from error


def weight_slot(node: AutogradNode, operation: str, constant: Constants) -> int:
    """Return the index of the input that is the weight of a layer or normalisation; -1 if the operation has none.

    A product may read its weight on either side. The weight of an operation from outside torch is the first matrix
    that does not derive from the batch.
    """
    producers = [producer for producer, _ in node.next_functions]
    if isinstance(node, BackwardCFunction):
        matrices = (
            slot
            for slot, (producer, output) in enumerate(node.next_functions)
            if producer in constant and sum(size > 1 for size in shapes(producer)[output]) > 1
        )
        return next(matrices, -1)
    if operation in ops.MATRIX_PRODUCTS:
        left, right = ops.MATRIX_PRODUCTS[operation]
        return left if producers[left] in constant and producers[right] not in constant else right
    return 1 if operation in ops.NORMS else ops.WEIGHTED.get(operation, (0, -1))[1]


def _gain(node: AutogradNode, constant: Constants, families: Mapping[AutogradNode, str]) -> int:
    """Return the index of the weight in ``x · rsqrt(mean(x²)) · weight``, as RMSNorm computes on a CPU; -1 if none."""
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
    return families.get(node) in ops.PRODUCTS and any(
        families.get(reader) == "Rsqrt" for reader in readers if reader
    )


def _origin(
    node: AutogradNode, output: int, families: Mapping[AutogradNode, str]
) -> tuple[Origin, int, Shape]:
    """Return the origin of a weight, the number of transpositions since then, and its shape at the origin.

    A part of a parameter, or a computed weight, is its own origin: the three projections of attention
    may be rows of one parameter. For an instance norm, the origin is the weight before it is repeated for each image.
    """
    turns, shape = 0, shapes(node)[output]
    while families.get(node) in ops.TRANSPARENT or families.get(node) == "Repeat":
        turns += families[node] in ops.AXIS_MOVES
        producer, index = node.next_functions[0]
        if producer is None:
            break
        if families[node] == "Repeat":
            shape = shapes(producer)[index]
        node, output = producer, index
    return (node, output), turns, shape
