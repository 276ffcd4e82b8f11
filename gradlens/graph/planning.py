"""Choice of the gradients to watch."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Sequence

from gradlens.graph.channels import channel_axes
from gradlens.graph.choosing import Probes
from gradlens.graph.grouping import Groups
from gradlens.graph.layout import Sizes
from gradlens.graph.loss import last_sampled, outputs_read
from gradlens.graph.nodes import Slot, TensorKey
from gradlens.graph.owners import Owner
from gradlens.graph.plan import Plan, Slice
from gradlens.graph.reading import learning_weights, reads
from gradlens.graph.recurrences import Recurrences, recurrences


def plan_sites(
    sizes: Sizes,
    owners: Sequence[Owner],
    image: Sequence[int],
    returned: Iterable[TensorKey],
    sites: str = "signals",
    space: str = "activations",
    modules: str | None = None,
    hooked: Collection[TensorKey] = (),
) -> Plan:
    """Choose the gradients to watch.

    Args:
        sizes: the graph at two batch sizes.
        owners: owner of each node.
        image: spatial size of the input.
        returned: tensors that the model returns, without scalars; the gradient at those that the loss reads is the
            loss signal.
        sites: ``forks`` leaves the signals out, ``all`` adds every edge (see ``Watch``).
        space: with ``weights`` a signal is the per-sample gradient of a layer's weight, with ``activations``
            the gradient at its output (see ``Watch``).
        modules: glob of module paths that limits the sites; None for all modules.
        hooked: tensors with a hook that changes their gradient after it is accumulated.
    """
    steps = recurrences(sizes.graph, owners)
    probes = Probes(sizes, owners, image, hooked, steps)
    groups = Groups(probes)
    kept = [group for group in groups.all() if _selected(group.site.partition(":")[0], modules)]
    signals: list[int] = []
    slices: list[Slice] = []
    exits: tuple[Slot, ...] = ()
    if sites != "forks" and space == "weights":
        signals, slices = _weights(probes, groups, modules)
    elif sites != "forks":
        signals, exits = _outputs(probes, steps, modules), steps.exits
    for edge in sizes.graph.edges if sites == "all" else ():
        probes.edge(edge)
    outputs, no_loss = _loss(probes, returned)
    return Plan(
        probes=tuple(probes.collected),
        signals=tuple(signals),
        groups=groups.in_order(kept),
        loss=outputs[0] if outputs else None,
        further_outputs=tuple(outputs[1:]),
        no_loss=no_loss,
        graph=sizes.graph,
        owners=probes.owners,
        stages=tuple(probes.stages),
        slices=tuple(slices),
        exits=exits,
    )


def _outputs(probes: Probes, recurrent: Recurrences, modules: str | None) -> list[int]:
    """Return the probes of the gradients at the outputs of weighted layers; one for all steps of a recurrence."""
    graph, series = probes.graph, {use: steps for steps in recurrent.series for use in steps.uses}
    layers = [
        index
        for index in graph.forward_order
        if graph.nodes[index].weighted and _selected(probes.owners[index].module, modules)
    ]
    return [
        probes.series(series[index]) if index in series else probes.tensor(TensorKey(index, 0))
        for index in layers
        if index not in series or index == series[index].uses[0]
    ]


def _weights(probes: Probes, groups: Groups, modules: str | None) -> tuple[list[int], list[Slice]]:
    """Return the probes of the trainable weights, and the slices of weights that read several sources.

    A weight that is used several times has no slices, because its uses may read different sources.
    """
    graph = probes.graph
    axes = channel_axes(graph)
    signals, slices = list[int](), list[Slice]()
    for uses in learning_weights(graph):
        layer = uses[0]
        if not _selected(probes.owners[layer].module, modules) or not probes.separable(uses):
            continue
        signals.append(probes.weight(uses))
        once = len(uses) == 1 and graph.nodes[layer].weighted
        sources = reads(graph, layer, axes) if once else []
        for start, stop, key in sources:
            number = probes.weight(uses, (start, stop)) if len(sources) > 1 else signals[-1]
            order = probes.ranks[groups.sources.get(key, key).node]
            slices.append(Slice(number, layer, groups.source_name(key), order, start, stop))
    return signals, slices


def _loss(probes: Probes, returned: Iterable[TensorKey]) -> tuple[list[int], str]:
    """Return the probes of the loss signal, one per output that the loss reads, or none and the reason."""
    readings = outputs_read(probes.graph, returned, probes.has_samples)
    if not readings:
        return [], (
            "the model returns no tensor from which the loss is computed, and one of its last layers reads another; "
            "return the logits beside the loss"
        )
    numbers = []
    for key, edges in readings:
        name = probes.names[key.node]
        if len(edges) == len(probes.graph.consumers[key]):
            numbers.append(probes.tensor(key))
        elif len(edges) == 1:
            numbers.append(probes.edge(edges[0]))
        else:
            return (
                [],
                f"the loss reads the output of {name} several times, and so does a later part of the network",
            )
        if not probes.collected[numbers[-1]].sampled:
            further = [probes.edge(edge) for edge in last_sampled(probes.graph, key, probes.has_samples)]
            if not further:
                return [], f"the output of {name}, which the loss reads, has no axis that holds the samples"
            numbers[-1:] = further
    return list(dict.fromkeys(numbers)), ""


def _selected(module: str, modules: str | None) -> bool:
    return modules is None or fnmatch.fnmatchcase(module, modules)
