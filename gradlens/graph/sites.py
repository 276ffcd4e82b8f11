"""Readable, unique names of sites in the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gradlens.graph.nodes import Graph
from gradlens.graph.owners import Owner


def site_names(graph: Graph, owners: Sequence[Owner]) -> list[str]:
    """Return the name of each node: module path, operation, and numbers of repeated operations and calls."""
    counted: Counter[tuple[Owner, str]] = Counter()
    names = [""] * len(graph.nodes)
    for index in graph.forward_order:
        node, owner = graph.nodes[index], owners[index]
        spelling = _spelling(node.operation)
        counted[owner, spelling] += 1
        ordinal = counted[owner, spelling]
        module = owner.module or "(model)"
        repeat = f"#{ordinal}" if ordinal > 1 else ""
        call = f"@{owner.call + 1}" if owner.call else ""
        names[index] = f"{module}:{spelling}{repeat}{call}"
    return numbered(names, "{}~{}")


def _spelling(operation: str) -> str:
    return {"Convolution": "conv", "Addmm": "linear", "Mm": "linear", "NativeBatchNorm": "batch_norm"}.get(
        operation, operation.lower()
    )


def numbered(names: list[str], form: str) -> list[str]:
    """Return distinct names: the second and later occurrences get a number, formatted by ``form``.

    A number that makes a name that occurs itself (a module may be called ``a~2``) is passed over.
    """
    taken, counted = set(names), Counter[str]()
    distinct = []
    for name in names:
        counted[name] += 1
        spelled = name
        while counted[name] > 1 and (spelled := form.format(name, counted[name])) in taken:
            counted[name] += 1
        taken.add(spelled)
        distinct.append(spelled)
    return distinct
