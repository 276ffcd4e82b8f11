"""Convert plans and costs to JSON documents and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from gradlens.graph.branches import Branches
from gradlens.graph.nodes import Edge, Graph, Node, Slot, TensorKey
from gradlens.graph.owners import Owner
from gradlens.graph.plan import Group, Plan, Slice
from gradlens.graph.probes import EdgeProbe, Probe, SeriesProbe, TensorProbe, WeightProbe
from gradlens.recording.costs import Costs

Document = Mapping[str, Any]
"""A decoded JSON object."""
KINDS: dict[str, type[Probe]] = {
    "edge": EdgeProbe,
    "tensor": TensorProbe,
    "weight": WeightProbe,
    "series": SeriesProbe,
}
"""Name of each type of probe in a document."""
_COUNTERS = {"flops", "traffic", "traffic_bytes", "saved_bytes"}


def plan_document(plan: Plan) -> dict[str, object]:
    """Return a plan as lists, dicts and scalars."""
    names = {kind: name for name, kind in KINDS.items()}
    return {
        "probes": [{"kind": names[type(probe)], **asdict(probe)} for probe in plan.probes],
        "signals": plan.signals,
        "groups": [asdict(group) for group in plan.groups],
        "loss": plan.loss,
        "further_outputs": plan.further_outputs,
        "no_loss": plan.no_loss,
        "exits": plan.exits,
        "nodes": [asdict(node) for node in plan.graph.nodes],
        "edges": plan.graph.edges,
        "owners": plan.owners,
        "stages": plan.stages,
        "slices": plan.slices,
    }


def read_plan(document: Document) -> Plan:
    """Return the plan that ``plan_document`` wrote, in this format or an older one."""
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
    graph = Graph(nodes, tuple(Edge(*edge) for edge in document["edges"]))
    return Plan(
        probes=tuple(_probe(probe) for probe in document["probes"]),
        signals=tuple(document["signals"]),
        groups=_with_parts(graph, tuple(_group(group) for group in document["groups"])),
        loss=document["loss"],
        further_outputs=tuple(document.get("further_outputs", ())),
        no_loss=document.get("no_loss", ""),
        exits=tuple(Slot(*slot) for slot in document.get("exits", ())),
        graph=graph,
        owners=tuple(Owner(*owner) for owner in document["owners"]),
        stages=tuple(document["stages"]),
        slices=tuple(Slice(*entry) for entry in document.get("slices", ())),
    )


def costs_document(costs: Costs | None) -> dict[str, object] | None:
    """Return costs as dicts and numbers."""
    if costs is None:
        return None
    return {name: dict(value) if isinstance(value, dict) else value for name, value in vars(costs).items()}


def read_costs(document: Document | None) -> Costs | None:
    """Return the costs that ``costs_document`` wrote."""
    if document is None:
        return None
    counted: Document = {name: Counter(value) for name, value in document.items() if name in _COUNTERS}
    return Costs(**{**document, **counted})


def _probe(document: Document) -> Probe:
    values = {**(document if "kind" in document else _typed(document))}
    kind = KINDS[values.pop("kind")]
    values |= {"shape": tuple(values["shape"]), "rows": tuple(values.get("rows", ()))}
    if kind is WeightProbe:
        values |= {"inputs": tuple(values["inputs"]), "uses": _tuples(values["uses"])}
    if kind is SeriesProbe:
        values |= {"steps": tuple(values["steps"]), "uses": tuple(values["uses"])}
    return kind(**values)


def _typed(document: Document) -> dict[str, Any]:
    """Upgrade a probe of format 1 or 2, which had one type with flags for all kinds."""
    shared = {"weight": False, "inputs": (), "uses": (), **document}
    position, accumulated = shared.pop("position"), shared.pop("accumulated")
    weight, inputs, uses = shared.pop("weight"), shared.pop("inputs"), shared.pop("uses")
    if weight:
        return {"kind": "weight", **shared, "inputs": inputs, "uses": uses}
    return {
        "kind": "tensor" if accumulated else "edge",
        **shared,
        "output" if accumulated else "slot": position,
    }


def _group(document: Document) -> Group:
    return Group(
        **{
            **document,
            "labels": tuple(document["labels"]),
            "members": _tuples(document["members"]),
            "channels": _tuples(document["channels"]),
            "weighted": tuple(document["weighted"]),
            "source": tuple(document["source"]),
            "parts": _tuples(document.get("parts", ())),
        }
    )


def _with_parts(graph: Graph, groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """Upgrade groups of format 1 or 2, which lack the tensors that hold the parts of a split."""
    if all(group.parts or group.where == "fork" for group in groups):
        return groups
    parts = {
        (split.form, split.source): tuple((part.key.node, part.key.output) for part in split.parts)
        for split in Branches(graph).splits
    }
    return tuple(
        group
        if group.parts or group.where == "fork"
        else replace(group, parts=parts.get((group.form, TensorKey(*group.source)), ()))
        for group in groups
    )


def _tuples(lists: Any) -> Any:
    return tuple(tuple(item) for item in lists)
