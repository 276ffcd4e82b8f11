"""Trainable parameters whose gradient is not recorded, each with the reason, and the layers that own them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from gradlens.graph import ops
from gradlens.graph.plan import Plan
from gradlens.hooks.calls import Calls

UNREACHED = "the loss does not depend on it"
UNREACHED_VECTOR = "the loss does not depend on it, a vector"
UNSELECTED = "outside the selected modules"
BIAS = "a bias, by definition no signal"
GAIN = "gain of a normalisation, a signal in weight space only"
VECTOR = "a vector (gain, token, slope), by definition no signal"


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


def not_measured(model: nn.Module, plan: Plan, modules: str | None) -> dict[str, str]:
    """Return the trainable parameters that are no signal's weight, each with the reason.

    Args:
        model: the network.
        plan: what is watched.
        modules: glob of module paths that limits the sites.
    """
    nodes = plan.graph.nodes
    watched = {node for number in plan.signals for node in plan.probes[number].nodes}
    measured = {name for node in watched for name in nodes[node].roots}
    recurrent = {
        name for node in watched if nodes[node].operation in ops.RECURRENT for name in nodes[node].reads
    }
    readers: dict[str, list[int]] = defaultdict(list)
    for index, node in enumerate(nodes):
        for name in (*node.roots, *node.reads):
            readers[name].append(index)
    reasons = {}
    for name, parameter in model.named_parameters():
        known = name in measured or (name in recurrent and parameter.dim() > 1)
        if parameter.requires_grad and not known:
            reasons[name] = _reason(name, parameter, readers[name], plan, modules)
    return reasons


def _reason(
    name: str, parameter: nn.Parameter, readers: Sequence[int], plan: Plan, modules: str | None
) -> str:
    """Return why a trainable parameter is no signal's weight."""
    nodes = [plan.graph.nodes[index] for index in readers]
    vector = parameter.numel() == max(parameter.shape, default=1)
    if not readers:
        return UNREACHED_VECTOR if vector else UNREACHED
    if modules is not None and not any(fnmatchcase(plan.owners[index].module, modules) for index in readers):
        return UNSELECTED
    if "bias" in name.rpartition(".")[2] and parameter.dim() < 2:
        return BIAS
    if all(node.operation in ops.NORMS for node in nodes):
        return GAIN
    if vector:
        return VECTOR
    operations = sorted({node.operation for node in nodes})
    if any(node.weighted and name in node.roots for node in nodes):
        return f"the per-sample gradient of a weight read by {', '.join(operations)} is not computed"
    return f"read by {', '.join(operations)}, which is not known as a layer"


def frozen_layers(model: nn.Module, plan: Plan, calls: Calls, modules: str | None) -> list[str]:
    """Return the layers that ran, whose parameters all require no gradient, and that no gradient passes through.

    A frozen layer after a trainable one has a signal, because the gradient passes through it.

    Args:
        model: the network.
        plan: what is watched.
        calls: the module calls of the pass.
        modules: glob of module paths that limits the sites.
    """
    closed, frozen = calls.called.difference(owner.module for owner in plan.owners), []
    for path, module in model.named_modules():
        held = list(module.parameters(recurse=False))
        layer = path in closed and any(parameter.dim() > 1 for parameter in held)
        if layer and not any(parameter.requires_grad for parameter in held):
            frozen.append(path)
    return [path for path in frozen if modules is None or fnmatchcase(path, modules)]


def frozen_inside(model: nn.Module, plan: Plan, calls: Calls) -> list[str]:
    """Return the outermost modules whose parameters all require no gradient, although a gradient passes through them.

    None are returned if they hold half of the parameters or more: then a small part of a network is trained on purpose.
    """
    passed = {owner.module for owner in plan.owners} & calls.called
    frozen: dict[str, int] = {}
    for path, module in model.named_modules():
        parameters = list(module.parameters())
        inside = any(path.startswith(f"{outer}.") for outer in frozen)
        if not path or inside or not parameters or any(each.requires_grad for each in parameters):
            continue
        if any(owner == path or owner.startswith(f"{path}.") for owner in passed):
            frozen[path] = sum(parameter.numel() for parameter in parameters)
    total = sum(parameter.numel() for parameter in model.parameters())
    return list(frozen) if 2 * sum(frozen.values()) < total else []


def unreached_layers(unseen: Mapping[str, Collection[str]]) -> list[str]:
    """Return the modules, of those that ``unseen_layers`` returns, that the loss does not depend on."""
    return [path for path, reasons in unseen.items() if {UNREACHED, UNREACHED_VECTOR}.issuperset(reasons)]


def unseen_layers(reasons: Mapping[str, str], calls: Calls, weights: bool) -> dict[str, set[str]]:
    """Return the modules that ran and own a trainable parameter that is neither measured nor left out by definition.

    The value is the set of reasons.

    A parameter of the model itself is named itself. In weight space every gain and vector is named as well.

    Args:
        reasons: by parameter, as ``not_measured`` returns them.
        calls: the module calls of the pass.
        weights: whether the signals are gradients of weights.
    """
    by_definition = {UNSELECTED, BIAS} | (set() if weights else {GAIN, VECTOR, UNREACHED_VECTOR})
    unseen: dict[str, set[str]] = defaultdict(set)
    for name, reason in reasons.items():
        owner, _, last = name.partition(".parametrizations.")[0].rpartition(".")
        owner = f"{owner}.{last}".strip(".") if ".parametrizations." in name else owner
        if reason not in by_definition and _nearest(owner, calls.called) in calls.called:
            unseen[owner or name].add(reason)
    return dict(unseen)


def _nearest(path: str, ran: set[str]) -> str:
    """Return the nearest enclosing module that was called, because lists of parameters are not called."""
    while path not in ran and "." in path:
        path = path.rpartition(".")[0]
    return path
