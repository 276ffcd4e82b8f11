"""What a plan does not see if the loss is computed outside of the graph that was read."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from gradlens.graph.nodes import Graph, TensorKey
from gradlens.graph.owners import OUTSIDE
from gradlens.graph.plan import Plan
from gradlens.graph.probes import Probe, TensorProbe
from gradlens.graph.sites import site_names
from gradlens.hooks.planned import Planned


def read_outside(graph: Graph, end: int) -> set[TensorKey]:
    """Return the tensors that the stand-in of the loss reads; the loop may read them, too.

    Args:
        graph: of the stand-in.
        end: sequence number of its first operation.
    """
    return {
        TensorKey(edge.producer, edge.output)
        for edge in graph.edges
        if graph.nodes[edge.consumer].sequence >= end > graph.nodes[edge.producer].sequence
    }


def within(state: Planned, outside: Container[TensorKey]) -> Planned:
    """Return a plan without the forks at tensors that the loop reads: it does not show what comes from there."""
    groups = state.plan.groups
    kept = [index for index, group in enumerate(groups) if group.source_key not in outside]
    number = {old: new for new, old in enumerate(kept)}
    return replace(
        state,
        plan=replace(state.plan, groups=tuple(groups[index] for index in kept)),
        dry_errors={number[index]: error for index, error in state.dry_errors.items() if index in number},
        products=frozenset(number[index] for index in state.products if index in number),
    )


def source_of(plan: Plan, probe: Probe) -> str:
    """Return the operation whose backward function returns the gradient of a probe; that of a tensor if it is a sum."""
    readers = plan.graph.consumers.get(probe.tap, []) if isinstance(probe, TensorProbe) else []
    node = readers[0].consumer if len(readers) == 1 else probe.node
    return OUTSIDE.module if plan.owners[node] == OUTSIDE else site_names(plan.graph, plan.owners)[node]
