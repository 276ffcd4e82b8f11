"""Layers that ran and learn, and of whose gradient nothing is kept: they are named, not passed over."""

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
    """Weights whose parameter something else reads as well: what comes back along there is not in their signals.

    Something else is another operation, or another signal that is made of the same parameter by other means
    (another part, a normalised form made anew at each call). Parts of one cut do not share anything.
    """
    nodes = plan.graph.nodes
    probes = [plan.probes[number] for number in plan.signals if plan.weights]
    made: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for probe in probes:
        for name in nodes[probe.node].roots:
            made[name].append((nodes[probe.node].maker, nodes[probe.node].parameter))
    elsewhere = {name for node in nodes for name in node.reads}
    shared = elsewhere | {name for name, own in made.items() if _several(own)}
    return [probe.module for probe in probes if shared.intersection(nodes[probe.node].roots)]


def _several(made: list[tuple[int, int]]) -> bool:
    """Made by different operations, or one thing that two signals read, each in its own way."""
    return len({maker for maker, _ in made}) > 1 or len(set(made)) < len(made)


def unseen_layers(model: nn.Module, calls: Calls, plan: Plan) -> list[str]:
    """Layers that ran and learn, and whose operation is not among the weighted ones of the graph.

    In weight space: modules with a weight of their own that learns, and that no signal is of.
    """
    ran = {path for path, *_ in calls.spans}
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
    """Owners of parameters that learn, are no bias, and that no signal is made of."""
    uses = [use for number in plan.signals for use in _nodes(plan, number)]
    seen = {name for use in uses for name in plan.graph.nodes[use].roots}
    found: dict[str, None] = {}
    for name, parameter in model.named_parameters():
        owner, _, own = name.partition(".parametrizations.")[0].rpartition(".")
        owner = f"{owner}.{own}".strip(".") if ".parametrizations." in name else owner
        if (
            parameter.requires_grad
            and name not in seen
            and "bias" not in name
            and _nearest(owner, ran) in ran
        ):
            found[owner or name] = None
    return list(found)


def _nodes(plan: Plan, number: int) -> list[int]:
    probe = plan.probes[number]
    return [node for node, _ in probe.uses] or [probe.node]


def _nearest(path: str, ran: set[str]) -> str:
    """The module that was called: lists of parameters are not."""
    while path not in ran and "." in path:
        path = path.rpartition(".")[0]
    return path
