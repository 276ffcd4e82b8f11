"""The layers from which each channel receives its gradient, and the lengths of the paths of that gradient.

Timestamps and combinations of Wang, Liao & Yeh 2022 (arXiv 2211.04800): a layer's *sources* are the
layers at the incoming edges of its gradient, a *timestamp* is the number of layers that a gradient has
travelled from the loss to the layer, that layer included; identity and concatenation add nothing.
Channels are followed individually, because a masked residual or a cut gives some channels another combination.
"""

from __future__ import annotations

import functools
import operator
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from gradlens.graph import ops
from gradlens.graph.channels import channel_axes
from gradlens.graph.nodes import Edge, Graph, Shape, TensorKey

LOSS_SOURCE = 0
"""The loss as a source: node 0 of every graph."""

Combination = Mapping[int, int]
"""Timestamps by source, as bits: bit ``t`` is set if a gradient with timestamp ``t`` arrives."""


class Segment(NamedTuple):
    """Neighbouring channels with one combination; ``stop`` is None for all channels of a tensor."""

    start: int
    stop: int | None
    combination: Combination


def combinations(graph: Graph) -> dict[int, list[Segment]]:
    """Return the combinations of the output channels of each weighted node, in channel order.

    If the channels of a tensor cannot be followed (because they are folded into other axes or shuffled), they are all
    treated as one run of channels.
    """
    axes = channel_axes(graph)
    received: dict[TensorKey, list[Segment]] = defaultdict(list)
    received[TensorKey(LOSS_SOURCE, 0)] = [Segment(0, None, {LOSS_SOURCE: 0b10})]
    combined: dict[int, list[Segment]] = {}
    for index in reversed(graph.forward_order):
        node = graph.nodes[index]
        outputs = [
            _merged(received.pop(TensorKey(index, output), []), _width(shape, axes[index]))
            for output, shape in enumerate(node.shapes)
        ]
        if not any(outputs):
            continue
        if node.weighted:
            combined[index] = outputs[0]
        for edge in graph.inputs.get(index, ()):
            key = TensorKey(edge.producer, edge.output)
            received[key] += _passed_on(graph, edge, outputs, axes)
    return combined


def timestamps(combination: Combination) -> tuple[int, ...]:
    """Return all timestamps of a combination, in ascending order.

    >>> timestamps({3: 0b1010, 5: 0b10})
    (1, 3)
    """
    bits = _bits(combination.values())
    return tuple(time for time in range(bits.bit_length()) if bits >> time & 1)


def sources(segments: Sequence[Segment]) -> frozenset[int]:
    """Return every source of a layer, over all channels."""
    return frozenset(source for segment in segments for source in segment.combination)


def _bits(masks: Iterable[int]) -> int:
    return functools.reduce(operator.or_, masks, 0)


def _passed_on(
    graph: Graph, edge: Edge, outputs: list[list[Segment]], axes: Sequence[int | None]
) -> list[Segment]:
    """Return the combinations of the gradient along an edge."""
    node, axis = graph.nodes[edge.consumer], axes[edge.consumer]
    shape = graph.nodes[edge.producer].shapes[edge.output]
    known = edge.producer in graph.inputs or graph.nodes[edge.producer].weighted
    channels = axes[edge.producer] if known else axis
    if node.weighted:
        bits = _bits(mask for segment in outputs[0] for mask in segment.combination.values())
        return [Segment(0, None, {edge.consumer: bits << 1})]
    if axis is None or channels is None or channels >= len(shape):
        return _whole(outputs)
    follow = _FOLLOWED.get(node.operation)
    if follow is not None:
        segments = follow(graph, edge, outputs, axis)
    else:
        same = len(outputs) == 1 and shape[channels] == node.shapes[0][axis]
        segments = outputs[0] if same else None
    return _whole(outputs) if segments is None else segments


def _concatenated(graph: Graph, edge: Edge, outputs: list[list[Segment]], axis: int) -> list[Segment] | None:
    node = graph.nodes[edge.consumer]
    if node.detail.get("dim", 0) % len(node.shapes[0]) != axis:
        return outputs[0]
    sizes = {e.slot: graph.nodes[e.producer].shapes[e.output][axis] for e in graph.inputs[edge.consumer]}
    if not all(slot in sizes for slot in range(edge.slot)):
        return None
    start = sum(sizes[slot] for slot in range(edge.slot))
    return _cut(outputs[0], start, start + sizes[edge.slot])


def _split(graph: Graph, edge: Edge, outputs: list[list[Segment]], axis: int) -> list[Segment] | None:
    node = graph.nodes[edge.consumer]
    if node.detail.get("dim", 0) % len(node.shapes[0]) != axis:
        return None
    segments, start = list[Segment](), 0
    for shape, part in zip(node.shapes, outputs, strict=True):
        segments += _moved(part, start, start + shape[axis])
        start += shape[axis]
    return segments


def _sliced(graph: Graph, edge: Edge, outputs: list[list[Segment]], axis: int) -> list[Segment] | None:
    node = graph.nodes[edge.consumer]
    whole = graph.nodes[edge.producer].shapes[edge.output]
    if node.detail["dim"] % len(whole) != axis:
        return outputs[0]
    start, stop, step = slice(node.detail["start"], node.detail["end"], node.detail["step"]).indices(
        whole[axis]
    )
    if step == 1:
        return _moved(outputs[0], start, stop)
    return [
        Segment(channel, channel + 1, s.combination)
        for channel, s in _channels(outputs[0], start, stop, step)
    ]


_FOLLOWED: dict[str, Callable[[Graph, Edge, list[list[Segment]], int], list[Segment] | None]] = {
    **dict.fromkeys(ops.SPLITS, _split),
    "Cat": _concatenated,
    "Slice": _sliced,
}


def _whole(outputs: list[list[Segment]]) -> list[Segment]:
    """Return one segment of all channels."""
    return [Segment(0, None, _joined(segment.combination for segments in outputs for segment in segments))]


def _joined(parts: Iterable[Combination]) -> dict[int, int]:
    joined: dict[int, int] = {}
    for part in parts:
        for source, mask in part.items():
            joined[source] = joined.get(source, 0) | mask
    return joined


def _cut(segments: Sequence[Segment], start: int, stop: int) -> list[Segment]:
    """Return the channels from ``start`` to ``stop``, renumbered from 0."""
    kept = []
    for segment in segments:
        low, high = max(segment.start, start), stop if segment.stop is None else min(segment.stop, stop)
        if low < high:
            kept.append(Segment(low - start, high - start, segment.combination))
    return kept


def _moved(segments: Sequence[Segment], start: int, stop: int) -> list[Segment]:
    """Return the channels of a part, numbered as in the whole."""
    return [
        Segment(s.start + start, stop if s.stop is None else min(s.stop + start, stop), s.combination)
        for s in segments
    ]


def _channels(segments: Sequence[Segment], start: int, stop: int, step: int) -> list[tuple[int, Segment]]:
    return [
        (channel, segment)
        for index, channel in enumerate(range(start, stop, step))
        for segment in segments
        if segment.start <= index and (segment.stop is None or index < segment.stop)
    ]


def _width(shape: Shape, axis: int | None) -> int | None:
    return shape[axis] if axis is not None and axis < len(shape) else None


def _merged(segments: Sequence[Segment], width: int | None) -> list[Segment]:
    """Return the combinations of the sum of contributions; equal neighbouring channels form one segment."""
    if not segments:
        return []
    ends = [width if s.stop is None else s.stop for s in segments]
    bounds = sorted({s.start for s in segments} | {end for end in ends if end is not None})
    merged: list[Segment] = []
    for start, stop in zip(bounds, [*bounds[1:], None], strict=True):
        over = [
            s.combination
            for s, end in zip(segments, ends, strict=True)
            if s.start <= start and (end is None or start < end)
        ]
        combination = _joined(over)
        if merged and merged[-1].combination == combination and merged[-1].stop == start:
            merged[-1] = merged[-1]._replace(stop=stop)
        elif combination:
            merged.append(Segment(start, stop, combination))
    return merged
