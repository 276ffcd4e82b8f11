"""Labels of the branches of a fork, also of three and more that meet one after another.

The bypass of a C2f block, the shortcut of its first bottleneck and the layers of this bottleneck read one tensor. The
last two meet in the bottleneck's addition, and what they make meets the bypass in the concatenation: their labels are
``bypass``, ``dense, skip`` and ``dense, residual``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradlens.graph import ops
from gradlens.graph.meeting import PostDominators
from gradlens.graph.nodes import Graph
from gradlens.graph.work import BranchWork, pair_labels

Work = Callable[[Sequence[int], int], BranchWork]
"""Returns the work of the branch from some operations to its merge."""
KINDS = {"residual": ops.ADDS, "parallel": ops.CONCATENATIONS, "gate": ops.PRODUCTS}


def kind_of(graph: Graph, merge: int) -> str:
    """Return the kind of the branches that meet in an operation."""
    operation = graph.nodes[merge].operation
    return next((kind for kind, family in KINDS.items() if operation in family), "other")


def branch_labels(
    graph: Graph, meeting: PostDominators, work: Work, starts: Sequence[int], merge: int
) -> tuple[str, ...]:
    """Return the labels of the branches that begin with ``starts``; empty if they cannot be told apart.

    Args:
        graph: the graph.
        meeting: where paths meet.
        work: computes the work of a branch.
        starts: the operation that each branch begins with; the merge itself for a branch without operations.
        merge: operation where the branches meet.
    """
    bundles = _bundles(meeting, starts, merge)
    kind = kind_of(graph, merge)
    names = pair_labels(kind, [work([starts[i] for i in bundle], merge) for bundle in bundles])
    labels = [""] * len(starts)
    for name, bundle in zip(names, bundles, strict=bool(names)):
        inner = [starts[i] for i in bundle]
        if len(bundle) == 1:
            labels[bundle[0]] = name
            continue
        end = meeting.meet(inner)
        within = (
            () if _continues(graph, kind, end, merge) else branch_labels(graph, meeting, work, inner, end)
        )
        for i, label in zip(bundle, within, strict=bool(within)):
            labels[i] = f"{name}, {label}"
    return tuple(labels) if all(labels) else ()


def _bundles(meeting: PostDominators, starts: Sequence[int], merge: int) -> list[list[int]]:
    """Return the branches, as indices, in bundles that meet before the merge."""
    bundles: list[list[int]] = []
    for index, start in enumerate(starts):
        near = (b for b in bundles if merge not in (start, meeting.meet([starts[b[0]], start])))
        bundle = next(near, None)
        if bundle is None:
            bundles.append([index])
        else:
            bundle.append(index)
    return bundles


def _continues(graph: Graph, kind: str, end: int, merge: int) -> bool:
    """Return whether both are one sum or concatenation of several, written in steps."""
    readers = graph.readers.get(end, ())
    return kind_of(graph, end) == kind and len(readers) == 1 and readers[0].consumer == merge
