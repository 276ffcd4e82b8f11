"""Warnings about the limits of the numbers of a study.

They name Python parameters as ``name=value``, which the command line translates to options.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from gradlens.metrics import duplication_bias
from gradlens.numbers import PAGE, format_number
from gradlens.recording import Recording
from gradlens.words.missing import dead_signals, missing_signals, remedy

BIASED = 0.01
"""Expected duplication of unrelated signals above which the batches are too small."""
UNEQUAL = 0.1
"""Difference of the shares of dead signals above which two networks are compared over different kinds of layers."""
UNSTEADY = 1.5
"""Ratio of the fastest to the slowest repeat above which a speed is unreliable."""


def warnings_alone(recording: Recording) -> Iterator[str]:
    """Yield the warnings about one network."""
    name, provenance = recording.name, recording.provenance
    for note in provenance.notes:
        yield f"{name}: {note}"
    yield from _warm_up(recording)
    yield from missing_signals(recording)
    weights = provenance.partly_seen
    if weights:
        yield (
            f"{name}: {len(weights)} weights are also read by other operations ({', '.join(weights[:4])}); the "
            "gradient from those is not included"
        )
    single = _one_position(recording)
    if single:
        yield (
            f"{name}: {single} of its convolutions have an output of one pixel: the images are too small; use a "
            "larger image_size="
        )
    yield from _unsteady(recording)
    if not recording.plan.network_groups:
        yield f"{name}: no forks and no partial splits among the watched sites; signals only"
    if recording.no_loss:
        yield f"{name}: there are no numbers given the loss: {recording.no_loss}"
    yield from _replication(recording)


def _warm_up(recording: Recording) -> Iterator[str]:
    """Yield the training loss before and after a warm-up, and whether it rose."""
    losses = recording.provenance.warmup_losses
    if not losses:
        return
    first, last = (sum(values) / len(losses) for values in zip(*losses, strict=True))
    target, steps = recording.provenance.warmup_loss, recording.provenance.warmup_steps_taken
    taken = "–".join(f"{count}" for count in sorted({min(steps), max(steps)})) if steps else ""
    yield (
        f"{recording.name}: the training loss went from {first:.2f} to {last:.2f} in "
        f"{taken or recording.provenance.warmup_steps} warm-up steps (mean over seeds)"
        + ("" if target else "; networks at different losses also differ for that reason")
    )
    above = sum(after > target for _, after in losses) if target else 0
    if above:
        yield (
            f"{recording.name}: the warm-up of {above} of {len(losses)} seeds did not reach the training loss "
            f"{target:g}; networks that did are further trained; use more warmup_steps="
        )
    risen = sum(after > before for before, after in losses)
    if risen:
        yield (
            f"{recording.name}: the training loss rose during the warm-up of {risen} of {len(losses)} seeds (to "
            f"{max(after for _, after in losses):.2f}), so these numbers do not describe a network that has learned; "
            "use other warmup_steps="
        )


def warnings_of_training(trajectory: pd.DataFrame) -> list[str]:
    """Return which networks of the table ``trajectory`` ended with a higher training loss than they began with."""
    losses = trajectory.pivot_table("train_loss", ["network", "seed"], "step", sort=False)
    first, last = losses[losses.columns.min()], losses[losses.columns.max()]
    risen = last[last > first].groupby("network", sort=False)
    return [
        f"{network}: the training loss rose in {len(values)} of {len(last.loc[network])} seeds (to "
        f"{values.max():.2f}), so its numbers after training do not describe a network that has learned; use a lower "
        "learning rate or more steps"
        for network, values in risen
    ]


def warnings_between(first: Recording, second: Recording) -> Iterator[str]:
    """Yield warnings about a comparison of two networks, and about each of them."""
    a, b = first.name, second.name
    difference = live_difference(first, second)
    if difference:
        yield (
            f"not a fair comparison: {difference}, so similarities are over different kinds of layers; use "
            f"{remedy(first, second)}"
        )
    modes = first.provenance.mode, second.provenance.mode
    if modes[0] != modes[1]:
        yield f"not a fair comparison: {a} in {modes[0]} mode, {b} in {modes[1]}"
    yield from _at_other_states(first, second)
    counts = tuple(len(recording.replicates) * recording.n for recording in (first, second))
    if counts[0] != counts[1] or first.n != second.n:
        yield f"not a fair comparison: {counts[0]} samples for {a}, {counts[1]} for {b}"
    yield from _other_differences(first, second)
    yield from dict.fromkeys([*warnings_alone(first), *warnings_alone(second)])


def _at_other_states(first: Recording, second: Recording) -> Iterator[str]:
    """Yield why two different networks are not equally far trained; one network before and after is what is asked."""
    if [signal.name for signal in first.signals] == [signal.name for signal in second.signals]:
        return
    a, b = first.provenance, second.provenance
    if a.stored_weights != b.stored_weights:
        stored, fresh = (first, second) if a.stored_weights else (second, first)
        yield (
            f"not a fair comparison: the weights of {stored.name} are from a file and those of {fresh.name} are fresh, "
            "so differences are not those of the architecture; use fresh weights, or trained ones, for both"
        )
    if a.warmup_steps != b.warmup_steps:
        yield (
            f"not a fair comparison: {first.name} after {a.warmup_steps} warm-up steps, {second.name} after "
            f"{b.warmup_steps}; use equal warmup_steps="
        )


def live_difference(first: Recording, second: Recording) -> str:
    """Return how many signals of each network are live if their shares differ; else empty."""
    pair = (first, second)
    dead = [dead_signals(recording) for recording in pair]
    counts = [len(recording.signals) for recording in pair]
    shares = [zero / max(count, 1) for zero, count in zip(dead, counts, strict=True)]
    if abs(shares[0] - shares[1]) <= UNEQUAL and (dead[0] == 0) == (dead[1] == 0):
        return ""
    live = [f"{count - zero} of {count}" for zero, count in zip(dead, counts, strict=True)]
    return f"{live[0]} signals of {first.name} are live and {live[1]} of {second.name}"


def _other_differences(first: Recording, second: Recording) -> Iterator[str]:
    """Yield a warning if the networks also differ in size."""
    parts = []
    layers = len(first.signals), len(second.signals)
    if layers[0] != layers[1]:
        parts.append(f"{layers[0]} and {layers[1]} weighted layers")
    if first.costs is not None and second.costs is not None:
        sizes = [sum(costs.parameters.values()) for costs in (first.costs, second.costs)]
        flops = [sum(costs.flops.values()) / costs.samples for costs in (first.costs, second.costs)]
        if sizes[0] != sizes[1]:
            parts.append(f"{_amounts(*sizes)} parameters")
        if flops[0] != flops[1]:
            parts.append(f"{_amounts(*flops)} FLOPs per image")
    if parts:
        yield f"{first.name} and {second.name} also differ in size: {'; '.join(parts)}"


def _amounts(a: float, b: float) -> str:
    """Return two different amounts, in full if three digits do not show that they differ."""
    texts = [format_number(value, "amount", PAGE) for value in (a, b)]
    return " and ".join(texts if texts[0] != texts[1] else [f"{value:.0f}" for value in (a, b)])


def _replication(recording: Recording) -> Iterator[str]:
    """Yield warnings about too few samples or seeds."""
    seeds = recording.seeds
    signals = sum(signal.sampled for signal in recording.signals) - dead_signals(recording)
    bias = bias_of(recording, signals)
    if bias > BIASED:
        yield (
            f"{recording.name}: D of {signals} signals is biased upwards by up to about {bias:.2f}, because the "
            f"batches have {recording.n} samples; {_batches_of(recording, signals)}. The bias falls "
            "with the square of the batch size, but only linearly with the number of batches"
        )
    stored = recording.provenance.stored_weights
    if recording.noise == "batches" and not stored:
        yield (
            "one seed: intervals are over its batches and show what other samples would change, not what other "
            "initial weights would; use seeds=3 or more for that"
        )
    elif len(seeds) < 2 and stored and recording.noise != "batches":
        yield f"{recording.name}: too few batches for an interval; use batches=4 or more"
    elif len(seeds) < 2 and not stored:
        yield "one seed: no interval over seeds; use seeds=3 or more to separate a finding from noise"


def bias_of(recording: Recording, m: float) -> float:
    """Return the duplication expected of ``m`` unrelated signals in one seed of a recording; NaN if ``m`` is NaN."""
    return duplication_bias(m, recording.n, _batches(recording))


def _batches(recording: Recording) -> int:
    """Return the number of batches of a seed."""
    return max(len(recording.replicates) // max(len(recording.seeds), 1), 1)


def _batches_of(recording: Recording, signals: int) -> str:
    """Return what to do for larger batches: an option, or what to change where the caller makes the batches."""
    size = _enough(recording, signals)
    return f"give batches of {size} samples" if recording.provenance.own_batches else f"use batch_size={size}"


def _enough(recording: Recording, signals: int) -> int:
    """Return a batch size, doubled until the bias is small."""
    size = recording.n
    while duplication_bias(signals, size, _batches(recording)) > BIASED:
        size *= 2
    return size


def _one_position(recording: Recording) -> int:
    """Return the number of convolutions over a single position, if those are more than half of all; else 0."""
    nodes = [node for node in recording.plan.graph.nodes if node.spatial and node.weighted]
    single = sum(math.prod(node.shapes[0][2:]) == 1 for node in nodes)
    return single if 2 * single > len(nodes) else 0


def _unsteady(recording: Recording) -> Iterator[str]:
    """Yield warnings about measured speeds that vary too much."""
    for name, speeds in recording.throughput.items():
        if speeds and max(speeds) > UNSTEADY * min(speeds):
            yield (
                f"{recording.name}: the measured speed ({name}) varies {max(speeds) / min(speeds):.1f}-fold "
                "between repeats: other programs used the machine, so do not compare speeds"
            )
