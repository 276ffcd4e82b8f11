"""Why signals are exactly zero: where their gradient ends on its way from the loss.

A normalisation whose gain is zero is seen in the parameters. Only if that does not explain every dead signal, one more
step is run, which asks at each operation between the loss and the signal whether a gradient arrives and leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Enum
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gradlens.graph import ops
from gradlens.graph.nodes import Edge, Graph, Slot, TensorKey
from gradlens.graph.owners import OUTSIDE
from gradlens.graph.plan import Plan
from gradlens.graph.sites import site_names
from gradlens.hooks.planned import Forward
from gradlens.hooks.recorder import one_by_one, watch
from gradlens.recording.causes import (
    CANCELLED,
    FACTOR,
    INPUT,
    OTHER,
    SHUT,
    UNREACHED,
    ZERO_GAIN,
    ZERO_SCALE,
    ZERO_WEIGHT,
    Cause,
)

NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
GAINS = ("weight", "gamma", "scale", "gain")
"""Names of buffers that multiply a tensor, as in a frozen batch norm."""
GATES = {
    "Relu", "Threshold", "Hardtanh", "Clamp", "ClampMin", "ClampMax", "LeakyRelu", "Hardswish", "Hardsigmoid", "Elu",
    "Gelu", "Silu", "Mish", "Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Softplus", "PreluKernel", "NativeDropout",
}  # fmt: skip
"""Activations, which pass nothing where they are shut or saturated."""
CHOICES = (
    ops.CUTTING | ops.SLICES | ops.CONCATENATIONS | ops.WRITING | {"Gather", "Where", "Maximum", "Minimum"}
)
"""Operations that pass some of their inputs on, and not others."""
FACTORS = ops.SCALINGS | {"Bmm", "Baddbmm", "Mm", "Addcmul"}
"""Products, whose gradient at one input is a product with the other."""


class Alive(NamedTuple):
    """Where the gradients of a step have an entry that is not zero.

    Attributes:
        edges: inputs of nodes along which such a contribution leaves.
        tensors: tensors at which such a gradient accumulates.
    """

    edges: frozenset[Slot]
    tensors: frozenset[TensorKey]


FIRST = 64
"""Entries of a weight that are read first."""


class Verdict(Enum):
    """What becomes of a gradient at an edge, seen from the signal that would receive it."""

    ENDS = "ends at the reader"
    PASSES = "is zero already at the outputs of the reader"
    CANCELS = "arrives, and the sum of all contributions is zero"


def starts_of(plan: Plan, number: int) -> list[TensorKey]:
    """Return the tensors at whose gradient a signal is observed; for a weight, the outputs of its uses."""
    return [TensorKey(node, 0) for node in plan.probes[number].nodes]


def following(graph: Graph, starts: Iterable[TensorKey]) -> list[Edge]:
    """Return the edges on all ways from tensors to the loss."""
    waiting, seen, edges = list(starts), set[TensorKey](), list[Edge]()
    for key in waiting:
        if key not in seen:
            seen.add(key)
            edges += graph.consumers.get(key, ())
            waiting += [
                out for edge in graph.consumers.get(key, ()) for out in _outputs(graph, edge.consumer)
            ]
    return edges


def by_parameters(model: nn.Module, plan: Plan, numbers: Iterable[int]) -> dict[int, list[Cause]]:
    """Return the causes of the signals all of whose ways to the loss lead through a normalisation with a zero gain."""
    modules, zeros = dict(model.named_modules()), zero_parameters(model)

    def verdict(edge: Edge) -> Verdict:
        node, path = plan.graph.nodes[edge.consumer], plan.owners[edge.consumer].module
        closed = f"{path}.weight".lstrip(".") in zeros and isinstance(modules.get(path), NORMS)
        return Verdict.ENDS if closed and node.operation in ops.NORMS else Verdict.PASSES

    causes = {}
    for number in numbers:
        ends = _ends(plan.graph, starts_of(plan, number), verdict)
        if 0 not in ends:
            causes[number] = [Cause(ZERO_GAIN, plan.owners[node].module) for node in ends]
    return causes


def alive_after(model: nn.Module, plan: Plan, numbers: Iterable[int], forward: Forward) -> Alive:
    """Run the backward pass of a step, and return which gradients between dead signals and the loss are not zero.

    Args:
        model: the network.
        plan: what is watched.
        numbers: probes of the dead signals.
        forward: the step; its nodes are emptied, because they keep the graph alive.
    """
    starts = [key for number in numbers for key in starts_of(plan, number)]
    edges = following(plan.graph, starts)
    slots = list({Slot(edge.consumer, edge.slot) for edge in edges})
    tensors = list({*starts, *(key for edge in edges for key in _outputs(plan.graph, edge.consumer))})
    taps: dict[int, Slot | TensorKey] = dict(enumerate(slots))
    taps.update(enumerate(tensors, len(slots)))
    seen: dict[int, Tensor] = {}
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    forward.calls.returned.clear()  # live nodes
    with watch(
        forward.nodes, taps, one_by_one(lambda number, gradient: seen.update({number: gradient.any()}))
    ):
        forward.nodes.clear()
        torch.autograd.grad(forward.loss, learning, allow_unused=True)
    live = {number for number, value in seen.items() if value}
    return Alive(
        frozenset(slot for number, slot in enumerate(slots) if number in live),
        frozenset(key for number, key in enumerate(tensors, len(slots)) if number in live),
    )


def by_gradients(
    model: nn.Module, plan: Plan, numbers: Iterable[int], alive: Alive
) -> dict[int, list[Cause]]:
    """Return the causes of dead signals from a step that was watched at all operations after them.

    Args:
        model: the network.
        plan: what is watched.
        numbers: probes of the dead signals.
        alive: which gradients of that step are not zero.
    """
    graph, zeros = plan.graph, zero_parameters(model)
    names, inner = site_names(graph, plan.owners), _parents(model)

    def verdict(edge: Edge) -> Verdict:
        if Slot(edge.consumer, edge.slot) in alive.edges:
            return Verdict.CANCELS
        arrives = not alive.tensors.isdisjoint(_outputs(graph, edge.consumer))
        return Verdict.ENDS if arrives or edge.consumer == 0 else Verdict.PASSES

    causes = {}
    for number in numbers:
        starts = starts_of(plan, number)
        if not alive.tensors.isdisjoint(starts):  # a weight, whose gradient is a product with its input
            causes[number] = [Cause(INPUT, plan.owners[starts[0].node].module)]
            continue
        ends = _ends(graph, starts, verdict)
        kinds = (
            Cause(CANCELLED, names[node])
            if kind is Verdict.CANCELS
            else _cause(plan, node, names, inner, zeros)
            for node, kind in ends.items()
        )
        causes[number] = list(dict.fromkeys(kinds))
    return causes


def zero_parameters(model: nn.Module) -> set[str]:
    """Return the names of the parameters, and of the buffers that are gains, that are entirely zero; no biases."""
    buffers = ((name, value) for name, value in model.named_buffers() if name.rpartition(".")[2] in GAINS)
    return {
        name
        for name, value in chain(model.named_parameters(remove_duplicate=False), buffers)
        if not is_lazy(value) and "bias" not in name.rpartition(".")[2] and value.numel() and _is_zero(value)
    }


def _is_zero(value: Tensor) -> bool:
    """Return whether all entries are zero; most weights are known by their first entries."""
    return not value.detach().reshape(-1)[:FIRST].any() and not value.any()


def _ends(
    graph: Graph, starts: Sequence[TensorKey], verdict: Callable[[Edge], Verdict]
) -> dict[int, Verdict]:
    """Return the nodes at which the gradient of tensors ends, and how; node 0, the loss, if a way reaches it.

    Where contributions cancel, it is the node of the tensor that receives them.
    """
    waiting, seen, ends = list(starts), set[TensorKey](), dict[int, Verdict]()
    for key in waiting:
        if key in seen:
            continue
        seen.add(key)
        if key.node == 0:
            ends[0] = Verdict.ENDS
        for edge in graph.consumers.get(key, ()):
            judged = verdict(edge)
            if judged is Verdict.PASSES:
                waiting += _outputs(graph, edge.consumer)
            else:
                ends[edge.consumer if judged is Verdict.ENDS else key.node] = judged
    return ends


def _outputs(graph: Graph, node: int) -> list[TensorKey]:
    return [TensorKey(node, output) for output in range(len(graph.nodes[node].shapes))]


def _parents(model: nn.Module) -> set[str]:
    """Return the paths of the modules that have children; their operations need a name of their own."""
    return {path for path, module in model.named_modules() if any(True for _ in module.children())}


def _cause(
    plan: Plan, index: int, names: Sequence[str], inner: Collection[str], zeros: Collection[str]
) -> Cause:
    """Return the cause that a node is."""
    node, owner = plan.graph.nodes[index], plan.owners[index]
    layer = names[index] if owner.module in inner else owner.module or names[index]
    if index == 0 or owner == OUTSIDE or node.operation in CHOICES:
        return Cause(UNREACHED, names[index])
    if node.operation in GATES:
        return Cause(SHUT, layer)
    read = [name for name in (*node.roots, *node.reads) if name in zeros]
    held = [name for name in sorted(zeros) if name.rpartition(".")[0] == owner.module]
    if not read and not held:
        return Cause(FACTOR if node.operation in FACTORS else OTHER, names[index])
    if node.operation in ops.NORMS:
        return Cause(ZERO_GAIN, owner.module)
    if node.weighted and f"{owner.module}.weight".lstrip(".") in (read or held):
        return Cause(ZERO_WEIGHT, owner.module or names[index])
    return Cause(ZERO_SCALE, (read or held)[0])
