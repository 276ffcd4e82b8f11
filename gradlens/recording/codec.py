"""Plans and costs as JSON documents and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gradlens.graph.nodes import Edge, Graph, Node
from gradlens.graph.owners import Owner
from gradlens.graph.plan import Group, Plan, Probe, Slice
from gradlens.recording.costs import Costs


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as lists, dicts and scalars."""
    return {
        "probes": [asdict(probe) for probe in plan.probes],
        "signals": plan.signals,
        "groups": [asdict(group) for group in plan.groups],
        "loss": plan.loss,
        "nodes": [asdict(node) for node in plan.graph.nodes],
        "edges": plan.graph.edges,
        "owners": plan.owners,
        "stages": plan.stages,
        "slices": plan.slices,
    }


def read_plan(document: Mapping[str, Any]) -> Plan:
    """The plan that ``plan_document`` wrote."""
    nodes = tuple(
        Node(
            **{
                **node,
                "shapes": _tuples(node["shapes"]),
                "kernel": tuple(node["kernel"]),
                "weight": tuple(node.get("weight", ())),
                "roots": tuple(node.get("roots", ())),
                "reads": tuple(node.get("reads", ())),
            }
        )
        for node in document["nodes"]
    )
    edges = tuple(Edge(*edge) for edge in document["edges"])
    return Plan(
        probes=tuple(_probe(probe) for probe in document["probes"]),
        signals=tuple(document["signals"]),
        groups=tuple(_group(group) for group in document["groups"]),
        loss=document["loss"],
        graph=Graph(nodes, edges),
        owners=tuple(Owner(*owner) for owner in document["owners"]),
        stages=tuple(document["stages"]),
        slices=tuple(Slice(*entry) for entry in document.get("slices", ())),
    )


def costs_document(costs: Costs | None) -> dict[str, Any] | None:
    """Costs as dicts and numbers."""
    if costs is None:
        return None
    return {k: dict(v) if isinstance(v, dict) else v for k, v in vars(costs).items()}


def read_costs(document: Mapping[str, Any] | None) -> Costs | None:
    """The costs that ``costs_document`` wrote."""
    if document is None:
        return None
    counted = {name: Counter(value) for name, value in document.items() if name in _COUNTERS}
    return Costs(**{**document, **counted})


_COUNTERS = {"flops", "traffic", "traffic_bytes", "saved_bytes"}


def _probe(document: Mapping[str, Any]) -> Probe:
    whole = {"weight": False, "inputs": (), "uses": (), **document}
    tuples = {name: tuple(whole[name]) for name in ("shape", "inputs")}
    return Probe(**{**whole, **tuples, "uses": _tuples(whole["uses"])})


def _group(document: Mapping[str, Any]) -> Group:
    return Group(
        **{
            **document,
            "labels": tuple(document["labels"]),
            "members": _tuples(document["members"]),
            "channels": _tuples(document["channels"]),
            "weighted": tuple(document["weighted"]),
            "source": tuple(document["source"]),
        }
    )


def _tuples(lists: Any) -> Any:
    return tuple(tuple(item) for item in lists)
