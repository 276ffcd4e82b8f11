"""The plan of a capture, which the first batch determines for all batches."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor, nn
from torch.autograd.graph import Node as AutogradNode

from gradlens.grams.accumulator import Accumulator
from gradlens.grams.precision import Precision
from gradlens.grams.projection import Projection
from gradlens.grams.roles import projected_features
from gradlens.graph.layout import Sizes
from gradlens.graph.nodes import Graph, TensorKey
from gradlens.graph.plan import Plan
from gradlens.graph.planning import plan_sites
from gradlens.graph.sites import site_names
from gradlens.hooks.calls import Calls
from gradlens.hooks.checks import check_sites
from gradlens.hooks.constants import Derived
from gradlens.hooks.dry import DryPass
from gradlens.hooks.factors import outside_factors, without
from gradlens.hooks.unfused import fused, other_draws
from gradlens.hooks.unseen import (
    frozen_inside,
    frozen_layers,
    not_measured,
    partly_seen,
    unreached_layers,
    unseen_layers,
)
from gradlens.recording.watch import Watch


class Forward(NamedTuple):
    """One forward pass and the graph of its loss.

    Attributes:
        loss: scalar.
        nodes: live nodes by index; they keep the saved tensors of the graph alive.
        graph: description of the nodes.
        calls: module calls of the pass.
        losses: several losses by name, whose sum is the loss; empty for one.
    """

    loss: Tensor
    nodes: list[AutogradNode]
    graph: Graph
    calls: Calls
    losses: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class Planned:
    """The state that all batches share; it holds no live node.

    Attributes:
        plan: what is watched.
        n: samples per batch.
        projection: random signs for the sums and sketches.
        dry_samples: samples of the dry pass; 0 if there was none.
        dry_errors: by group with a sum, the error of the dry pass; NaN if it was not checked.
        not_measured: trainable parameters that are no signal's weight, with the reason.
        products: forks of two branches whose inner products are computed from the contributions.
        sizes: the graph at two batch sizes, which show the samples of every tensor.
        unseen_layers: trainable layers that ran but have no signal.
        unreached_layers: those that the loss does not depend on.
        frozen_layers: layers that ran, are not trained, and are not passed by any gradient.
        frozen_inside: modules that are not trained although a gradient passes through them, if they are a small part.
        partly_seen: modules of weights that other operations read, too.
        hooked: sites of the tensors whose gradient a hook of the user changes.
        derived: what does not derive from the batch, if the dry pass has seen it.
        fused: recurrent layers that torch itself runs in a kernel without steps.
        other_draws: those whose dropout draws other random numbers in that kernel.
        losses: names of the losses, if a step returns several.
        precision: probes whose Grams float32 may lose, on an accelerator; the batches add to it.
    """

    plan: Plan
    n: int
    projection: Projection
    dry_samples: int
    dry_errors: dict[int, float]
    not_measured: dict[str, str]
    products: frozenset[int]
    sizes: Sizes
    unseen_layers: list[str]
    unreached_layers: list[str]
    frozen_layers: list[str]
    frozen_inside: list[str]
    partly_seen: list[str]
    hooked: tuple[str, ...] = ()
    derived: Derived | None = None
    fused: tuple[str, ...] = ()
    other_draws: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    precision: Precision = field(default_factory=Precision)


def accumulator_of(state: Planned, watch: Watch, factor: float = 1.0) -> Accumulator:
    """Return what reduces the gradients of one backward pass.

    Args:
        state: what all batches share.
        watch: what is watched, and how.
        factor: factor of the loss, which is divided out.
    """
    return Accumulator(state.plan, state.n, state.projection, watch, state.products, state.precision, factor)


def planned(model: nn.Module, watch: Watch, n: int, first: Forward, dry: DryPass | None) -> Planned:
    """Plan what to watch from the first forward pass.

    Args:
        model: the network.
        watch: what to watch, and how.
        n: samples per batch.
        first: forward pass of the first batch.
        dry: the dry pass, or None if the batch cannot be cut.

    Raises:
        GradlensError: the requested sites select nothing.
    """
    same = dry if dry is not None and dry.graph.structure == first.graph.structure else None
    moved = None if dry is None else dry.moved_in(first.graph)
    owners, returned = first.calls.owners(first.graph), _returned(first)
    factors = outside_factors(model, first.graph, first.nodes, owners)
    graph, m = (None, 0) if same is None else (without(same.graph, factors), same.samples)
    stacked = {} if dry is None else dry.stacked_in(first.graph)
    sizes = Sizes(without(first.graph, factors), n, graph, m, moved, stacked)
    hooked = frozenset() if same is None else same.hooked
    plan = plan_sites(
        sizes, owners, first.calls.image, returned, watch.sites, watch.space, watch.modules, hooked
    )
    check_sites(plan, watch)
    groups = tuple(
        replace(group, total=None) if group.source_key in hooked else group for group in plan.groups
    )
    plan = replace(plan, groups=groups)
    reasons = not_measured(model, plan, watch.modules) if watch.sites != "forks" else {}
    unseen = unseen_layers(reasons, first.calls, watch.space == "weights")
    frozen = frozen_layers(model, plan, first.calls, watch.modules) if watch.sites != "forks" else []
    return Planned(
        plan=plan,
        n=n,
        projection=Projection(projected_features(plan, n), watch.seed),
        dry_samples=0 if dry is None else dry.samples,
        dry_errors=_errors(plan, {} if dry is None else dry.errors_in(first.graph)),
        not_measured=reasons,
        unseen_layers=list(unseen),
        unreached_layers=unreached_layers(unseen),
        frozen_layers=frozen,
        frozen_inside=frozen_inside(model, plan, first.calls),
        sizes=sizes,
        products=_products(plan, watch, None if same is None else same.uneven),
        partly_seen=partly_seen(plan),
        hooked=_names(plan, hooked),
        derived=None if dry is None else dry.derived,
        fused=tuple(fused(model, first.calls.called)),
        other_draws=tuple(other_draws(model, first.calls.called)),
        losses=tuple(first.losses),
    )


def _names(plan: Plan, hooked: Collection[TensorKey]) -> tuple[str, ...]:
    """Return the sites of tensors, in forward order."""
    names, nodes = site_names(plan.graph, plan.owners), {key.node for key in hooked}
    return tuple(names[index] for index in plan.graph.forward_order if index in nodes)


def _errors(plan: Plan, errors: dict[TensorKey, float]) -> dict[int, float]:
    """Return, by group with a sum, the error at its source."""
    return {
        index: errors.get(group.source_key, math.nan)
        for index, group in enumerate(plan.groups)
        if group.where != "merge" and group.form != "project" and group.total is not None
    }


def _products(plan: Plan, watch: Watch, uneven: Collection[TensorKey] | None) -> frozenset[int]:
    """Return the forks of two branches whose inner products the Grams cannot give: all without a dry pass."""
    return frozenset(
        index
        for index, group in enumerate(plan.groups)
        if group.where == "fork"
        and len(group.members) == 2
        and group.total is not None
        and all(plan.ordered(number) for member in group.members for number in member)
        and (watch.pairs == "exact" or uneven is None or group.source_key in uneven)
    )


def _returned(first: Forward) -> list[TensorKey]:
    """Return the tensors that the calls of the model return and the loss depends on."""
    index = {node: position for position, node in enumerate(first.nodes)}
    return [TensorKey(index[node], output) for node, output in first.calls.returned if node in index]
