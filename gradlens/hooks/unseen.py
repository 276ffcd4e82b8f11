"""Trainable layers that ran but whose gradient is not recorded, for the warnings."""

from __future__ import annotations

from collections import defaultdict

from torch import nn

from gradlens.graph.plan import Plan
from gradlens.hooks.calls import Calls

LAYERS = (
    nn.modules.conv._ConvNd,
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.RNNBase,
    nn.RNNCellBase,
)


def partly_seen(plan: Plan) -> list[str]:
    """Return the modules of weights whose parameter is also read elsewhere; the gradient from there is missing.

    Elsewhere means in another operation, or in another signal that is computed from the same parameter in another
    form (another part, or a normalised form computed again at each call). Parts of one cut share nothing.
    """
    nodes = plan.graph.nodes
    probes = [plan.probes[number] for number in plan.signals if plan.weights]
    made: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for probe in probes:
        for name in nodes[probe.node].roots:
            made[name].append((nodes[probe.node].maker, nodes[probe.node].parameter))
    elsewhere = {name for node in nodes for name in node.reads}
    shared = elsewhere | {name for name, makers in made.items() if _several(makers)}
    return [probe.module for probe in probes if shared.intersection(nodes[probe.node].roots)]


def _several(made: list[tuple[int, int]]) -> bool:
    """Return whether several operations compute signals from a parameter, or two signals read it in different forms."""
    return len({maker for maker, _ in made}) > 1 or len(set(made)) < len(made)


def unseen_layers(model: nn.Module, calls: Calls, plan: Plan) -> list[str]:
    """Return the trainable layers that ran but whose operation is not a weighted one of the graph.

    In weight space, return the modules with a trainable weight that is not a signal.
    """
    ran = calls.called
    if plan.weights:
        return _unseen_weights(model, ran, plan)
    seen = {owner.module for owner, node in zip(plan.owners, plan.graph.nodes, strict=True) if node.weighted}
    return [
        path
        for path, module in model.named_modules()
        if path in ran
        and path not in seen
        and isinstance(module, LAYERS)
        and any(parameter.requires_grad for parameter in module.parameters())
    ]


def _unseen_weights(model: nn.Module, ran: set[str], plan: Plan) -> list[str]:
    """Return the owners of trainable parameters that are neither biases nor part of a signal."""
    uses = [node for number in plan.signals for node in plan.weight_probes[number].nodes]
    seen = {name for use in uses for name in plan.graph.nodes[use].roots}
    unseen: dict[str, None] = {}
    for name, parameter in model.named_parameters():
        owner, _, last = name.partition(".parametrizations.")[0].rpartition(".")
        owner = f"{owner}.{last}".strip(".") if ".parametrizations." in name else owner
        if (
            parameter.requires_grad
            and name not in seen
            and "bias" not in name
            and _nearest(owner, ran) in ran
        ):
            unseen[owner or name] = None
    return list(unseen)


def _nearest(path: str, ran: set[str]) -> str:
    """Return the nearest enclosing module that was called, because lists of parameters are not called."""
    while path not in ran and "." in path:
        path = path.rpartition(".")[0]
    return path
