"""Layers that ran and learn, and of whose gradient nothing is kept: they are named, not passed over."""

from __future__ import annotations

from torch import nn

from gradlens.hooks import Plan
from gradlens.hooks.names import Calls

LAYERS = (
    nn.modules.conv._ConvNd,
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.RNNBase,
    nn.RNNCellBase,
)


def partly_seen(plan: Plan) -> list[str]:
    """Weights that something else reads as well: what comes back along there is not in their signals."""
    elsewhere = {number for node in plan.graph.nodes for number in node.reads}
    probes = [plan.probes[number] for number in plan.signals if plan.weights]
    return [probe.module for probe in probes if plan.graph.nodes[probe.node].parameter in elsewhere]


def unseen_layers(model: nn.Module, calls: Calls, plan: Plan) -> list[str]:
    """Layers that ran and learn, and whose operation is not among the weighted ones of the graph.

    In weight space: modules with a weight of their own that learns, and that no signal is of.
    """
    ran = {path for path, *_ in calls.spans}
    if plan.weights:
        signals = {plan.probes[number].module for number in plan.signals}
        return [
            path
            for path, module in model.named_modules()
            if path in ran
            and path not in signals
            and getattr(module._parameters.get("weight"), "requires_grad", False)
        ]
    seen = {owner.module for owner, node in zip(plan.owners, plan.graph.nodes, strict=True) if node.weighted}
    return [
        path
        for path, module in model.named_modules()
        if path in ran
        and path not in seen
        and isinstance(module, LAYERS)
        and any(parameter.requires_grad for parameter in module.parameters())
    ]
