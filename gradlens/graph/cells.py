"""The stages of recurrent networks: each cell, or each recurrent layer of torch, is one."""

from __future__ import annotations

from collections.abc import Sequence

from gradlens.graph.nodes import Graph
from gradlens.graph.owners import Owner
from gradlens.graph.recurrences import Recurrences
from gradlens.graph.stage_order import HEAD

LOOP = "recurrence"
"""Stage of a recurrence that the model itself runs, without a module for its cell."""


def with_cells(
    labels: Sequence[str], graph: Graph, owners: Sequence[Owner], recurrent: Recurrences
) -> list[str]:
    """Return the stage of each node; a cell without an output stride, whose operations have no kernel, is a stage.

    Args:
        labels: stage of each node by its resolution or block.
        graph: the graph.
        owners: owner of each node.
        recurrent: the layers that run once per step.
    """
    carried = {use for series in recurrent.series if series.carried for use in series.uses}
    flat = {
        use
        for use in carried
        if not graph.nodes[use].kernel and (labels[use] == HEAD or labels[use].isdigit())
    }
    cells = {use: _cell(graph, owners, use) for use in flat}
    paths = sorted(set(filter(None, cells.values())), key=len)
    changed = list(labels)
    for index, owner in enumerate(owners):
        inside = [path for path in paths if f"{owner.module}.".startswith(f"{path}.")]
        if inside and (labels[index] == HEAD or labels[index].isdigit()):
            changed[index] = inside[0]
        elif index in cells:
            changed[index] = cells[index] or LOOP
    return changed


def _cell(graph: Graph, owners: Sequence[Owner], use: int) -> str:
    """Return the module that holds the weight of a recurrent layer of torch, or that holds a linear layer."""
    module = owners[use].module
    direct = any("weight_" in root for root in graph.nodes[use].roots)
    return module if direct else module.rpartition(".")[0]
