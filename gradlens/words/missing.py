"""Warnings about signals that are left out: which, how many, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gradlens.analyzers.silence import dead_layers, silent_calls
from gradlens.recording import Recording
from gradlens.recording.causes import (
    CANCELLED,
    FACTOR,
    INPUT,
    OTHER,
    SHUT,
    UNREACHED,
    ZERO_GAIN,
    ZERO_SCALE,
    ZERO_WEIGHT,
    Cause,
)

SHOWN = 3
"""Largest number of layers that are named for each cause."""
ENDS: dict[str, Callable[[int], str]] = {
    ZERO_GAIN: lambda count: f"behind {_counted(count, 'normalisation')} with a gain of zero",
    ZERO_SCALE: lambda count: f"multiplied by {_counted(count, 'scale')} of zero",
    ZERO_WEIGHT: lambda count: f"behind {_counted(count, 'layer')} with a weight of zero",
    SHUT: lambda count: f"behind {_counted(count, 'activation')} shut for all samples",
    UNREACHED: lambda count: "not read by the loss",
    INPUT: lambda count: "with an input of zero",
    FACTOR: lambda count: f"multiplied by zeros at {_counted(count, 'product')}",
    CANCELLED: lambda count: f"cancelled at {_counted(count, 'sum')}",
    OTHER: lambda count: f"zero from {_counted(count, 'operation')} on",
}
"""Each cause in words, by the number of layers that it is due to."""


def dead_signals(recording: Recording) -> int:
    """Return the number of signals that are exactly zero in every replicate."""
    return len(dead_layers(recording)) + len(silent_calls(recording))


def missing_signals(recording: Recording) -> Iterator[str]:
    """Yield warnings about signals that are left out."""
    name, signals = recording.name, len(recording.signals)
    dead, silent = dead_layers(recording), silent_calls(recording)
    if dead:
        yield (
            f"{name}: {len(dead)} of {signals} signals are dead (exactly zero) and are left out of similarities"
            f"{_reasons(recording, dead)}{_advice(recording, dead)}"
        )
    if silent:
        yield (
            f"{name}: {len(silent)} of {signals} signals are zero at one call of a layer that has a gradient at other "
            "calls, as a shared head has at levels without objects, and are left out of similarities "
            f"({_listed(silent)})"
        )
    yield from _layers_without(recording)
    unsampled = sum(not signal.sampled for signal in recording.signals)
    if unsampled:
        yield f"{name}: {unsampled} of {signals} signals have no axis that holds the samples and are left out"
    unknown = sum(
        signal.sampled and not np.isfinite(recording.grams[signal.number]).all()
        for signal in recording.signals
    )
    if unknown:
        yield (
            f"{name}: {unknown} of {signals} signals have no value in some batch, where their samples cannot be told "
            "or their weight is complex, and are left out of similarities"
        )


def remedy(*recordings: Recording) -> str:
    """Return which options make dead signals live that the recordings have not used yet."""
    kept = any(recording.provenance.zero_init is not False for recording in recordings)
    return "warmup_steps=10 or zero_init=False" if kept else "warmup_steps=10"


def _layers_without(recording: Recording) -> Iterator[str]:
    """Yield which layers ran and have no signal."""
    name, provenance = recording.name, recording.provenance
    frozen, unreached = provenance.frozen_layers, provenance.unreached_layers
    if frozen:
        yield (
            f"{name}: {_counted(len(frozen), 'layer')} without a signal: frozen (requires_grad is False), and no "
            f"gradient passes through ({_listed(frozen)})"
        )
    if unreached:
        yield f"{name}: {_counted(len(unreached), 'layer')} ran that no loss reaches ({_listed(unreached)})"
    unseen = [layer for layer in provenance.unseen_layers if layer not in unreached]
    if unseen:
        yield (
            f"{name}: {_counted(len(unseen), 'layer')} ran whose gradient is not among the signals "
            f"({_listed(unseen)}); meta['not_measured'] has the reason for each parameter"
        )


def _reasons(recording: Recording, dead: Sequence[str]) -> str:
    """Return why signals are dead, each cause with its layers; empty if the recording does not have it."""
    signals: dict[str, set[str]] = {kind: set() for kind in ENDS}
    layers: dict[str, dict[str, None]] = {kind: {} for kind in ENDS}
    for name in dead:
        for cause in recording.provenance.dead_causes.get(name, ()):
            kind = cause.kind if cause.kind in ENDS else OTHER
            signals[kind].add(name)
            layers[kind][_named(cause, name)] = None
    parts = [
        f"{len(signals[kind])} {ENDS[kind](len(named))} ({_listed(list(named))})"
        for kind, named in layers.items()
        if named
    ]
    unknown = sum(name not in recording.provenance.dead_causes for name in dead)
    if parts and unknown:
        parts.append(f"{unknown} for a reason that is not known")
    return f": {', '.join(parts)}" if parts else ""


def _named(cause: Cause, signal: str) -> str:
    """Return what to name for a cause: the layer that ends the gradient, or the signal that nothing reads."""
    return signal if cause.kind == UNREACHED else cause.layer


def _advice(recording: Recording, dead: Sequence[str]) -> str:
    """Return advice about dead signals that was not followed yet; empty if there is none."""
    provenance = recording.provenance
    causes = [cause for name in dead for cause in provenance.dead_causes.get(name, ())]
    kinds, layers = ({cause[part] for cause in causes} for part in (0, 1))
    if provenance.warmup_steps:
        return "; they are still zero after the warm-up"
    if provenance.stored_weights or kinds == {UNREACHED}:
        return ""
    if not causes:
        return f"; {remedy(recording)} shows whether they stay zero"
    if provenance.zero_init and layers.intersection(_owners(provenance.zero_gains)):
        return "; zero_init=False sets such gains to one"
    if provenance.zero_init is not None:
        return "; warmup_steps=10 shows whether training revives them"
    return "; gl.models.lift_zero_init(model) sets such gains to one" if ZERO_GAIN in kinds else ""


def _owners(gains: Sequence[str]) -> set[str]:
    """Return the names of gains, and of the normalisations that hold them, either of which a cause may name."""
    return {*gains, *(gain.removesuffix(".weight") for gain in gains)}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:SHOWN], *(["..."] if len(names) > SHOWN else [])])
