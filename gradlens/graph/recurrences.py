"""Layers that run once per step of a recurrence: their uses are the steps of one signal.

The rule is one of the graph. The uses of a weight are steps if each is computed from all earlier ones, as a hidden
state is: a *chain*. A layer that keeps pace with a chain has steps too, for example one that reads the input of a step,
or the state after it. A layer that is shared by two images, or by the levels of a pyramid, does neither.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gradlens.graph.chains import Chain, Track, exits
from gradlens.graph.nodes import Graph, Node, Slot
from gradlens.graph.owners import Owner

Layer = tuple[object, ...]
"""What the uses of one layer have in common: module, operation, weight, shape of the output without its first axis."""


class Series(NamedTuple):
    """A layer that runs once per step.

    Attributes:
        uses: its nodes in the order of the steps.
        first: number of the step of the first use; 2 if the first step has no earlier state to read.
        carried: whether all uses but the last lead to a later step, so that the recurrence carries their gradient.
        loop: number of the recurrence; the layers of one cell have the same.
    """

    uses: Chain
    first: int
    carried: bool
    loop: int

    @property
    def last(self) -> int:
        """Number of the last step."""
        return self.first + len(self.uses) - 1


class Recurrences(NamedTuple):
    """The recurrences of a graph.

    Attributes:
        series: the layers that run once per step.
        exits: inputs of operations by which the loss reads a state before the last step, other than through later
            steps.
    """

    series: tuple[Series, ...] = ()
    exits: tuple[Slot, ...] = ()


NONE = Recurrences()


def recurrences(graph: Graph, owners: Sequence[Owner]) -> Recurrences:
    """Return the layers of a graph that run once per step of a recurrence.

    Args:
        graph: the graph.
        owners: owner of each node.
    """
    layers = [uses for uses in _layers(graph, owners).values() if len(uses) > 1]
    earlier = _earlier_uses(graph, [use for uses in layers for use in uses]) if layers else {}
    by_layer = [_chains(uses, earlier) for uses in layers]
    chains = [chain for chains in by_layer for chain in chains]
    if not chains:
        return NONE
    rest = [uses for uses, ordered in zip(layers, by_layer, strict=True) if not ordered]
    track = Track.of(graph, sorted(chains, key=lambda chain: graph.nodes[chain[0]].sequence))
    return Recurrences(tuple(_series(track, owners, rest)), tuple(exits(track)))


def _series(track: Track, owners: Sequence[Owner], rest: Sequence[Sequence[int]]) -> Iterator[Series]:
    pacing = list(_pacing(track, owners, rest))
    for c, chain in enumerate(track.chains):
        paced = [uses for uses, number in pacing if number == c]
        steps = max(map(len, [chain, *paced]))
        loop = track.loops[c]
        yield Series(chain, _first(track.graph, owners, chain, steps), True, loop)
        for uses in paced:
            carried = all(c in track.ahead.get(use, ()) for use in uses[:-1])
            yield Series(uses, 1 + steps - len(uses), carried, loop)


def _layers(graph: Graph, owners: Sequence[Owner]) -> dict[Layer, list[int]]:
    """Return the uses of each layer in forward order."""
    uses = Counter(node.parameter for node in graph.nodes)
    layers: dict[Layer, list[int]] = defaultdict(list)
    ordinals: Counter[Layer] = Counter()
    for index in graph.forward_order:
        node, owner = graph.nodes[index], owners[index]
        if node.weighted:
            weight: Layer = (node.parameter, node.turned, node.left)
            if node.parameter < 0 or uses[node.parameter] == 1:  # frozen, or computed again at each call
                call = (owner, node.operation, node.roots)
                ordinals[call] += 1
                weight = (node.roots, ordinals[call])
            layers[owner.module, node.operation, weight, node.shapes[0][1:]].append(index)
    return layers


def _earlier_uses(graph: Graph, uses: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return, by use, its bit, and the bits of the uses that it is computed from."""
    bits = {use: 1 << position for position, use in enumerate(uses)}
    waiting = {index: len(readers) for index, readers in graph.readers.items()}
    masks: dict[int, int] = {}
    earlier: dict[int, tuple[int, int]] = {}
    for index in graph.forward_order:
        mask = 0
        for edge in graph.inputs.get(index, ()):
            mask |= masks.get(edge.producer, 0)
            waiting[edge.producer] -= 1
            if not waiting[edge.producer]:
                masks.pop(edge.producer, None)  # the mask of many steps is long
        if index in bits:
            earlier[index] = bits[index], mask
            mask |= bits[index]
        if mask:
            masks[index] = mask
    return earlier


def _chains(uses: Sequence[int], earlier: Mapping[int, tuple[int, int]]) -> list[Chain]:
    """Return the uses of a layer as chains; none if a use is computed from a part of a chain, as in a tree."""
    layer = sum(earlier[use][0] for use in uses)
    chains: dict[int, list[int]] = {}
    for use in uses:
        bit, read = earlier[use]
        read &= layer
        if read and read not in chains:
            return []
        chain = chains.pop(read, []) if read else []
        chains[read | bit] = [*chain, use]
    return [tuple(chain) for chain in chains.values() if len(chain) > 1]


def _pacing(
    track: Track, owners: Sequence[Owner], layers: Sequence[Sequence[int]]
) -> Iterator[tuple[Chain, int]]:
    """Yield the uses of layers that keep pace with a chain, with its number: one use at each of its steps.

    The step of a use is that of the last element before it if the layer reads the states, and else that of the first
    element after it.
    """
    times = track.times() if layers else {}
    for uses in layers:
        rest = list(uses)
        for c in _nearest(track, owners, uses[0]):
            for key in (track.states_read(c), {use: time[c] for use, time in times.items() if c in time}):
                paced = sorted((key[use], use) for use in rest if use in key)
                if len(paced) > 1 and len({time for time, _ in paced}) == len(paced):
                    yield tuple(use for _, use in paced), c
                    rest = [use for use in rest if use not in key]


def _nearest(track: Track, owners: Sequence[Owner], use: int) -> list[int]:
    """Return the chains, those of the same cell first, then the one that is nearest to the loss."""

    def of_another(chain: int) -> bool:
        modules = [owners[node].module for node in (use, track.chains[chain][0])]
        return len(set(modules)) > 1 and len({module.rpartition(".")[0] or module for module in modules}) > 1

    return sorted(range(len(track.chains)), key=lambda chain: (of_another(chain), -chain))


def _first(graph: Graph, owners: Sequence[Owner], chain: Chain, steps: int) -> int:
    """Return the number of the step of a chain's first element.

    ``nn.RNN`` and ``nn.GRU`` multiply the inputs of all steps at once, with the weight of the same layer.
    """
    if len(chain) < steps:
        return 1 + steps - len(chain)
    names = [root.replace("weight_hh", "weight_ih") for root in graph.nodes[chain[0]].roots]
    inputs = [
        node
        for node, owner in zip(graph.nodes, owners, strict=True)
        if node.weighted and list(node.roots) == names and owner == owners[chain[0]]
    ]
    read = sum(map(_rows, inputs)) if names != list(graph.nodes[chain[0]].roots) else 0
    return 2 if read > sum(_rows(graph.nodes[use]) for use in chain) else 1


def _rows(node: Node) -> int:
    return math.prod(node.shapes[0][:-1])
