"""What a reader must know before believing the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradlens.recording import Recording

ENOUGH = 128
"""Samples times replicates below which duplication is biased upwards (0.26 at n = 8 for
independent signals)."""


UNEQUAL = 0.1
"""Difference of the shares of dead signals above which two networks are compared over unlike layers."""
UNSTEADY = 1.5
"""Ratio of the fastest to the slowest repeat above which a speed means little."""


def dead_signals(recording: Recording) -> int:
    """Signals that are exactly zero in every replicate."""
    return sum(
        not recording.grams[number].any() for number in recording.plan.signals if _known(recording, number)
    )


def warnings_alone(recording: Recording) -> Iterator[str]:
    """What limits the numbers of one network."""
    name, signals = recording.name, len(recording.plan.signals)
    for note in recording.provenance.notes:
        yield f"{name}: {note}"
    dead = dead_signals(recording)
    if dead:
        yield (
            f"{name}: dead at this state: {dead} of {signals} signals are exactly zero and left out of "
            f"similarities; {_advice(recording)}"
        )
    unseen = recording.provenance.unseen_layers
    if unseen:
        yield (
            f"{name}: {len(unseen)} layers ran whose gradient is not among the signals, for their operation is "
            f"not known as a weighted one or leads to no loss ({', '.join(unseen[:4])})"
        )
    partly = recording.provenance.partly_seen
    if partly:
        yield (
            f"{name}: {len(partly)} weights are read by other operations too ({', '.join(partly[:4])}); what comes "
            "back along those is not in their gradients here"
        )
    tight = _one_position(recording)
    if tight:
        yield (
            f"{name}: {tight} of its convolutions see a single position; the images are too small for it, "
            "raise --image-size"
        )
    yield from _unsteady(recording)
    lost = sum(not _known(recording, number) for number in recording.plan.signals)
    if lost:
        yield f"{name}: {lost} of {signals} signals have no axis that holds the samples and are left out"
    if not recording.plan.groups:
        yield f"{name}: no forks and no partial splits among the watched sites; signals only"
    if recording.loss_gram is None:
        yield f"{name}: the network's output was not found, so nothing is given the loss"
    yield from _replication(recording)


def warnings_between(first: Recording, second: Recording) -> Iterator[str]:
    """Where the comparison of two networks is not fair, and what limits each."""
    a, b = first.name, second.name
    unlike = unlike_signals(first, second)
    if unlike:
        yield (
            f"not a fair comparison: {unlike}, so similarities are over different kinds of layers; use --warmup-steps "
            "10 or --no-zero-init"
        )
    modes = first.provenance.mode, second.provenance.mode
    if modes[0] != modes[1]:
        yield f"not a fair comparison: {a} in {modes[0]} mode, {b} in {modes[1]}"
    counts = tuple(len(recording.replicates) * recording.n for recording in (first, second))
    if counts[0] != counts[1] or first.n != second.n:
        yield f"not a fair comparison: {counts[0]} samples through {a}, {counts[1]} through {b}"
    yield from _other_differences(first, second)
    yield from dict.fromkeys([*warnings_alone(first), *warnings_alone(second)])


def unlike_signals(first: Recording, second: Recording) -> str:
    """Which share of the signals is alive where that makes two networks unlike; else empty."""
    pair = (first, second)
    dead = [dead_signals(recording) for recording in pair]
    counts = [len(recording.plan.signals) for recording in pair]
    shares = [lost / max(count, 1) for lost, count in zip(dead, counts, strict=True)]
    if abs(shares[0] - shares[1]) <= UNEQUAL and (dead[0] == 0) == (dead[1] == 0):
        return ""
    alive = [f"{count - lost} of {count}" for lost, count in zip(dead, counts, strict=True)]
    return f"{alive[0]} signals of {first.name} are alive and {alive[1]} of {second.name}"


def _other_differences(first: Recording, second: Recording) -> Iterator[str]:
    """What differs beside the topology, so that no one attributes all to it."""
    a, b = first.name, second.name
    parts = []
    layers = len(first.plan.signals), len(second.plan.signals)
    if layers[0] != layers[1]:
        parts.append(f"{layers[0]} and {layers[1]} weighted layers")
    if first.costs is not None and second.costs is not None:
        sizes = [sum(recording.costs.parameters.values()) for recording in (first, second) if recording.costs]
        flops = [sum(r.costs.flops.values()) / r.costs.samples for r in (first, second) if r.costs]
        if sizes[0] != sizes[1]:
            parts.append(f"{sizes[0] / 1e6:.2f} and {sizes[1] / 1e6:.2f} M parameters")
        if flops[0] != flops[1]:
            parts.append(f"{flops[0] / 1e9:.3f} and {flops[1] / 1e9:.3f} GFLOPs an image")
    if parts:
        yield f"{a} and {b} differ in more than their topology: {'; '.join(parts)}"


def _replication(recording: Recording) -> Iterator[str]:
    seeds = recording.seeds
    batches = len(recording.replicates) // max(len(seeds), 1)
    if recording.n * batches < ENOUGH:
        wanted = math.ceil(ENOUGH / recording.n)
        yield (
            f"{recording.n} samples x {batches} batch{'es' * (batches != 1)} a seed: duplication is biased upwards "
            f"below about {ENOUGH} samples; {wanted} batches of {recording.n} would do (--batches), or a larger "
            "--batch-size"
        )
    if recording.noise == "batches":
        yield (
            "one seed: intervals are over its batches and tell what other samples would change, not what other "
            "initial weights would; --seeds 3 or more tells that"
        )
    elif len(seeds) < 2:
        yield "one seed: no interval over seeds; use --seeds 3 or more to tell a finding from noise"


def _advice(recording: Recording) -> str:
    """What may bring dead signals to life, given what was done already."""
    lifted = recording.provenance.zero_init is False
    if recording.provenance.warmup_steps:
        return "they stay so after the warm-up: look at the loss, and for ways that are switched off"
    if lifted:
        return "not for zero-initialised normalisations; --warmup-steps 10 tells whether training wakes them"
    return "commonly zero-initialised normalisation weights; --warmup-steps 10 or --no-zero-init brings them to life"


def _one_position(recording: Recording) -> int:
    """Convolutions over one position, where those are more than half of all."""
    nodes = [node for node in recording.plan.graph.nodes if node.spatial and node.weighted]
    tight = sum(math.prod(node.shapes[0][2:]) == 1 for node in nodes)
    return tight if 2 * tight > len(nodes) else 0


def _unsteady(recording: Recording) -> Iterator[str]:
    for name, speeds in recording.throughput.items():
        if speeds and max(speeds) > UNSTEADY * min(speeds):
            yield (
                f"{recording.name}: the measured speed ({name}) varies {max(speeds) / min(speeds):.1f}-fold "
                "between repeats: something else used the machine, do not compare speeds"
            )


def _known(recording: Recording, number: int) -> bool:
    return recording.plan.probes[number].outer is not None
