"""Create the probes for tensors, edges and weights of a graph, one per gradient."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from gradlens.graph.cells import with_cells
from gradlens.graph.layout import Layout, Sizes, layout
from gradlens.graph.nodes import Edge, Slot, TensorKey
from gradlens.graph.owners import Owner
from gradlens.graph.probes import EdgeProbe, Probe, SeriesProbe, TensorProbe, WeightProbe
from gradlens.graph.reading import folded_in_channels, input_axis
from gradlens.graph.recurrences import NONE, Recurrences, Series
from gradlens.graph.sites import site_names
from gradlens.graph.stages import stages

BY_ROWS = {"Addmm", "Convolution", "Linear", "Mm"}
"""Layers whose per-sample weight gradient is a sum over the rows of their input, in any order."""


class Probes:
    """Collects the probes of a plan; a gradient that is requested again keeps its probe.

    Args:
        sizes: the graph at two batch sizes.
        owners: owner of each node.
        image: spatial size of the input.
        hooked: tensors with a hook that changes their gradient after it is accumulated.
        recurrent: the layers that run once per step.

    Attributes:
        collected: the probes; a number is an index into this list.
        names: site name of each node.
        stages: stage of each node.
        ranks: rank of each node in forward order.
    """

    def __init__(
        self,
        sizes: Sizes,
        owners: Sequence[Owner],
        image: Sequence[int],
        hooked: Collection[TensorKey] = (),
        recurrent: Recurrences = NONE,
    ) -> None:
        self.graph, self.owners = sizes.graph, tuple(owners)
        self.stages = with_cells(stages(sizes.graph, owners, image, sizes.n), sizes.graph, owners, recurrent)
        self.names = site_names(sizes.graph, owners)
        self.ranks = {index: rank for rank, index in enumerate(sizes.graph.forward_order)}
        self.collected: list[Probe] = []
        self._sizes, self._hooked = sizes, hooked
        self._buffers: dict[TensorKey, TensorKey] = {}
        self._numbers: dict[tuple[type[Probe], int, int], int] = {}

    def tensor(self, key: TensorKey) -> int:
        """Return the number of the probe of an accumulated gradient."""
        key = self._buffer(key)
        return self._number(TensorProbe, key, key)

    def edge(self, edge: Edge) -> int:
        """Return the number of the probe of one contribution."""
        key = TensorKey(edge.producer, edge.output)
        if len(self.graph.consumers[key]) == 1 and key not in self._hooked:
            return self.tensor(key)
        if self._passes_on(edge):
            return self.tensor(TensorKey(edge.consumer, 0))
        return self._number(EdgeProbe, Slot(edge.consumer, edge.slot), key)

    def has_samples(self, key: TensorKey) -> bool:
        """Return whether an axis of a tensor holds the samples."""
        return layout(self._sizes, key) is not None

    def series(self, series: Series) -> int:
        """Return the number of the probe of a layer at all steps of a recurrence."""
        numbers = [self.tensor(TensorKey(use, 0)) for use in series.uses]
        steps = [self.collected[number] for number in numbers]
        size = sum(math.prod(step.shape) for step in steps)
        node, n = series.uses[0], self._sizes.n
        return self._collect(
            SeriesProbe(
                node,
                f"{self.names[node]}, {len(steps)} steps",
                *self._position(node),
                (n, -(-size // n)),
                1 if all(step.sampled for step in steps) else None,
                steps=tuple(numbers),
                uses=series.uses,
                first=series.first,
                carried=series.carried,
                loop=series.loop,
            )
        )

    def weight(self, uses: Sequence[int], inputs: tuple[int, ...] = ()) -> int:
        """Return the number of the probe of a weight, or of the part that reads ``inputs``."""
        node = uses[0]
        outers = [self._outer_at_layer(use) for use in uses]
        outer = None if None in outers else outers[0]
        moved = self._moved_at_layer(node) if len(uses) == 1 and outer is None else None
        outer, rows = (outer, ()) if moved is None else moved
        shape = (self._sizes.n, *self._weight_shape(node, inputs))
        name = f"{self.names[node]} weight{_part(uses, inputs)}"
        several = tuple(zip(uses, outers, strict=True)) if len(uses) > 1 else ()
        return self._collect(
            WeightProbe(
                node, name, *self._position(node), shape, outer, rows=rows, inputs=inputs, uses=several
            )
        )

    def separable(self, uses: Sequence[int]) -> bool:
        """Return whether the per-sample gradients of a weight can be computed.

        They cannot if a product of several matrices has another matrix for each sample: repeats of one parameter.
        """
        for use in uses:
            node, outer = self.graph.nodes[use], self._outer_at_layer(use)
            if node.operation == "Bmm" and outer is not None and outer % node.shapes[0][0]:
                return False
        return True

    def _number(self, kind: type[EdgeProbe | TensorProbe], tap: Slot | TensorKey, key: TensorKey) -> int:
        """Return the number of the probe of a gradient; ``key`` is the tensor that the gradient belongs to."""
        node, index = tap
        known = (kind, node, index)
        if known not in self._numbers:
            shape, rows = self.graph.shape(key), layout(self._sizes, key)
            outer, order = (None, ()) if rows is None else rows
            probe = kind(node, self.names[node], *self._position(node), shape, outer, index, rows=order)
            self._numbers[known] = self._collect(probe)
        return self._numbers[known]

    def _collect(self, probe: Probe) -> int:
        self.collected.append(probe)
        return len(self.collected) - 1

    def _position(self, node: int) -> tuple[str, str, int, int]:
        """Return module, stage, depth and order of a node."""
        return self.owners[node].module, self.stages[node], self.graph.depths[node], self.ranks[node]

    def _buffer(self, key: TensorKey) -> TensorKey:
        """Return the tensor whose gradient is the same: one addition after another passes one buffer on."""
        chain: list[TensorKey] = []
        while key not in self._buffers:
            edges = self.graph.consumers.get(key, [])
            if key in self._hooked or len(edges) != 1 or not self._passes_on(edges[0]):
                self._buffers[key] = key
                break
            chain.append(key)
            key = TensorKey(edges[0].consumer, 0)
        self._buffers |= dict.fromkeys(chain, self._buffers[key])
        return self._buffers[key]

    def _passes_on(self, edge: Edge) -> bool:
        """Return whether the consumer is an addition that passes its own gradient buffer to this input."""
        node = self.graph.nodes[edge.consumer]
        same = node.shapes[0] == self.graph.shape(TensorKey(edge.producer, edge.output))
        weighted = self.graph.nodes[edge.producer].weighted  # a signal keeps its own name
        return node.operation == "Add" and node.detail.get("alpha") == 1 and same and not weighted

    def _outer_at_layer(self, node: int) -> int | None:
        """Return ``outer`` of the gradient at a layer's output; None if no axis holds the samples."""
        if folded_in_channels(self.graph.nodes[node], self._sizes.n):
            return 1
        rows = layout(self._sizes, TensorKey(node, 0))
        return None if rows is None or rows.rows else rows.outer

    def _moved_at_layer(self, node: int) -> Layout | None:
        """Return the layout of the gradient at the output of a layer that reads rows in another order."""
        described = self.graph.nodes[node]
        by_rows = described.operation in BY_ROWS and not described.left
        known = layout(self._sizes, TensorKey(node, 0)) if by_rows else None
        return known if known is not None and known.rows else None

    def _weight_shape(self, node: int, inputs: tuple[int, ...]) -> tuple[int, ...]:
        shape = self.graph.nodes[node].weight
        if not inputs:
            return shape
        axis = input_axis(self.graph.nodes[node])
        return (*shape[:axis], inputs[1] - inputs[0], *shape[axis + 1 :])


def _part(uses: Sequence[int], inputs: tuple[int, ...]) -> str:
    if len(uses) > 1:
        return f", {len(uses)} uses"
    return f" of inputs {inputs[0]} to {inputs[1] - 1}" if inputs else ""
