"""What a network is drawn as before anything is opened: blocks, and runs of them at one resolution."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import networkx as nx

from gradlens.graph.owners import OUTSIDE
from gradlens.graph.plan import Plan

_NUMBERED = re.compile(r"\d[a-z]?$")


def blocks_of(
    plan: Plan, visible: Sequence[int], pairs: Sequence[tuple[int, int]], names: Sequence[str]
) -> dict[int, str]:
    """The block that each operation stands in; outside of blocks, the part of the network it belongs to.

    A block is a numbered module (``layer1.0``, ``denselayer3``) with two weighted layers or more and no other such
    module in it. An operation that a larger module does itself (the cut and the concatenation of a CSP stage)
    stands for itself, and so does every operation of a block that something leaves and comes back to: drawn as
    one, such a block would close a circle.

    Args:
        plan: the graph and the owners of its nodes.
        visible: operations that are drawn.
        pairs: (producer, consumer) of the edges between them.
        names: site of each node.
    """
    weighted: Counter[str] = Counter()
    for owner, node in zip(plan.owners, plan.graph.nodes, strict=True):
        if node.weighted and owner != OUTSIDE:
            weighted.update(_prefixes(owner.module))
    numbered = {path for path, count in weighted.items() if count > 1 and path and _NUMBERED.search(path)}
    outer = {ancestor for path in numbered for ancestor in list(_prefixes(path))[:-1]}
    found = {i: _block(plan, i, numbered - outer, weighted, names) for i in visible}
    return _without_circles(found, pairs, names)


def groups_of(plan: Plan, visible: Sequence[int], pairs: Sequence[tuple[int, int]]) -> dict[int, str]:
    """The stage that each operation is drawn in, as the tables have it.

    Where the network comes back to a stage (a decoder), runs of a stage in forward order are told apart by a
    number: drawn as one, the stage would close a circle.

    Args:
        plan: with the stage of each node.
        visible: operations that are drawn, in forward order.
        pairs: (producer, consumer) of the edges between them.
    """
    stage = {index: plan.stages[index] for index in visible}
    quotient = nx.DiGraph((stage[a], stage[b]) for a, b in pairs if stage[a] != stage[b])
    if nx.is_directed_acyclic_graph(quotient):
        return stage
    counted: Counter[str] = Counter()
    found, before = {}, ""
    for index in visible:
        if stage[index] != before:
            before = stage[index]
            counted[before] += 1
        found[index] = before if counted[before] == 1 else f"{before} ({counted[before]})"
    return found


def _block(
    plan: Plan, index: int, blocks: set[str], weighted: Mapping[str, int], names: Sequence[str]
) -> str:
    owner = plan.owners[index]
    if owner == OUTSIDE:
        return owner.module
    path = [prefix for prefix in _prefixes(owner.module) if prefix]
    inside = next((prefix for prefix in path if prefix in blocks), None)
    alone = next((prefix for prefix in path if weighted.get(prefix, 0) < 2), None)
    return inside or alone or names[index]


def _without_circles(
    blocks: dict[int, str], pairs: Sequence[tuple[int, int]], names: Sequence[str]
) -> dict[int, str]:
    """Blocks taken apart until what is drawn runs one way."""
    while True:
        graph = nx.DiGraph((blocks[a], blocks[b]) for a, b in pairs if blocks[a] != blocks[b])
        circles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
        if not circles:
            return blocks
        apart = {name for part in circles for name in part}
        blocks = {index: names[index] if own in apart else own for index, own in blocks.items()}


def _prefixes(module: str) -> Iterable[str]:
    """The module's path and those of all around it, outermost first, the model itself as an empty path."""
    parts = module.split(".") if module else []
    return (".".join(parts[:length]) for length in range(len(parts) + 1))
