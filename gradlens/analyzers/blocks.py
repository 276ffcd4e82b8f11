"""The collapsed view of a network: blocks, and runs of blocks at one resolution."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from gradlens.graph.owners import OUTSIDE
from gradlens.graph.plan import Plan

_NUMBERED = re.compile(r"\d[a-z]?$")


def blocks_of(
    plan: Plan, visible: Sequence[int], pairs: Sequence[tuple[int, int]], names: Sequence[str]
) -> dict[int, str]:
    """Return the block of each operation; outside of blocks, the module that it belongs to.

    A block is a numbered module (``layer1.0``, ``denselayer3``) with at least two weighted layers that contains no
    other such module. An operation that a larger module runs directly (the cut and the concatenation of a CSP
    stage) is its own block. A path may leave a block and enter it again; drawn as one node, such a block
    would close a cycle, so its operations are separate blocks.

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
    blocks = {i: _block(plan, i, numbered - outer, weighted, names) for i in visible}
    return _without_cycles(blocks, pairs, names)


def groups_of(plan: Plan, visible: Sequence[int], pairs: Sequence[tuple[int, int]]) -> dict[int, str]:
    """Return the stage that each operation is drawn in, named as in the tables.

    If the network returns to a stage (as a decoder does), the runs of consecutive operations of that stage are
    numbered: drawn as one node, the stage would close a cycle.

    Args:
        plan: with the stage of each node.
        visible: operations that are drawn, in forward order.
        pairs: (producer, consumer) of the edges between them.
    """
    stage = {index: plan.stages[index] for index in visible}
    import networkx as nx  # slow to import, and most commands draw no map

    quotient = nx.DiGraph((stage[a], stage[b]) for a, b in pairs if stage[a] != stage[b])
    if nx.is_directed_acyclic_graph(quotient):
        return stage
    runs: Counter[str] = Counter()
    groups, previous = {}, ""
    for index in visible:
        if stage[index] != previous:
            previous = stage[index]
            runs[previous] += 1
        groups[index] = previous if runs[previous] == 1 else f"{previous} ({runs[previous]})"
    return groups


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


def _without_cycles(
    blocks: dict[int, str], pairs: Sequence[tuple[int, int]], names: Sequence[str]
) -> dict[int, str]:
    """Return the blocks, with those on a cycle split into their operations."""
    import networkx as nx

    while True:
        graph = nx.DiGraph((blocks[a], blocks[b]) for a, b in pairs if blocks[a] != blocks[b])
        cycles = [part for part in nx.strongly_connected_components(graph) if len(part) > 1]
        if not cycles:
            return blocks
        apart = {name for part in cycles for name in part}
        split = {index: names[index] if block in apart else block for index, block in blocks.items()}
        if split == blocks:
            return blocks
        blocks = split


def _prefixes(module: str) -> Iterable[str]:
    """Return the paths of a module and of all modules that contain it, outermost first; the model has an empty path."""
    parts = module.split(".") if module else []
    return (".".join(parts[:length]) for length in range(len(parts) + 1))
