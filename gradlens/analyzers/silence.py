"""Layers without a gradient, and calls without one of layers that learn from their other calls."""

from __future__ import annotations

from gradlens.graph.plan import Plan, Signal
from gradlens.recording import Recording


def dead_layers(recording: Recording) -> list[str]:
    """Return the names of the signals that are zero in every replicate, without silent calls."""
    silent = set(silent_calls(recording))
    return [signal.name for signal in _dead(recording) if signal.name not in silent]


def silent_calls(recording: Recording) -> list[str]:
    """Return the names of the signals that are zero in every replicate, at a call of a layer with another live call.

    Such as a head that is called for each level of a pyramid, at a level without objects.
    """
    dead = {signal.number for signal in _dead(recording)}
    live = [s for s in recording.signals if s.sampled and s.number not in dead]
    return [
        signal.name
        for signal in recording.signals
        if signal.number in dead and any(_same_layer(recording.plan, signal, other) for other in live)
    ]


def _dead(recording: Recording) -> list[Signal]:
    sampled = [signal for signal in recording.signals if signal.sampled]
    return [signal for signal in sampled if not recording.grams[signal.number].any()]


def _same_layer(plan: Plan, first: Signal, second: Signal) -> bool:
    """Return whether two signals are of one weight: of one parameter, or of two calls of a module that is frozen."""
    a, b = first.probe.node, second.probe.node
    if plan.graph.nodes[a].parameter >= 0 or plan.graph.nodes[b].parameter >= 0:
        return plan.graph.nodes[a].parameter == plan.graph.nodes[b].parameter
    calls = plan.owners[a].call != plan.owners[b].call and plan.owners[a].module == plan.owners[b].module
    return calls and plan.graph.nodes[a].roots == plan.graph.nodes[b].roots
