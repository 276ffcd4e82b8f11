"""The main result of a study in one or two sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import DUPLICATIONS
from gradlens.recording import Recording
from gradlens.results import Table
from gradlens.words.warnings import ENOUGH, live_difference
from gradlens.words.wording import Contrast, contrasts_of, unsigned

MANY = 10**6
"""A larger count is also written as a power of ten."""


def finding_alone(recording: Recording, summary: Table) -> str:
    """Report the duplication of the whole network, the stage where it is highest, and the value given the loss."""
    name = recording.name
    whole = _row(summary.frame, WHOLE)
    if math.isnan(whole["duplication"]):
        return f"{name}: duplication is not defined here, {_too_few(recording)}."
    interval = ""
    if math.isfinite(whole.get("duplication_low", math.nan)):
        low, high = whole["duplication_low"], whole["duplication_high"]
        interval = f" (95 % interval{_over(recording)} {low:.2f} to {high:.2f})"
    live = int(whole["signals"] - whole["dead_signals"])
    given_loss = whole["duplication_given_loss"]
    remaining = "" if math.isnan(given_loss) else f" Given the loss, it is {unsigned(given_loss)}."
    return (
        f"{name}: duplication {unsigned(whole['duplication'])}{interval} over {live} live signals"
        f"{_highest(summary.frame)}.{remaining}{_too_few_samples(recording)}"
    )


def _highest(frame: pd.DataFrame) -> str:
    """Name the stage with the highest duplication; empty for a network of one stage."""
    stages = frame[frame["stage"] != WHOLE].dropna(subset=["duplication"])
    if len(stages) < 2:
        return ""
    top = stages.sort_values("duplication", ascending=False).iloc[0]
    return f", highest in stage {top['stage']} ({top['duplication']:.2f})"


def finding_between(first: Recording, second: Recording, comparison: Table) -> str:
    """Report the difference in duplication of two networks, with its interval, and the same given the loss."""
    whole = _row(comparison.frame, WHOLE)
    for recording, side in ((first, "a"), (second, "b")):
        if math.isnan(whole[f"duplication_{side}"]):
            return f"No comparison of duplication: {recording.name}, {_too_few(recording)}."
    noise, over = first.noise or "seeds", _over(first)
    raw, given_loss = (Contrast.of_metric(whole, f"duplication{part}") for part in ("", "_given_loss"))
    return (
        f"{raw.sentence(second.name, first.name, 'gradient duplication', noise)} {raw.numbers(over)}. "
        f"Given the loss, {given_loss.clause(noise)} {given_loss.numbers(over)}."
        f"{_unfair(first, second)}{_too_few_samples(first)}"
    )


def finding_among(recordings: Sequence[Recording], contrasts: Table) -> str:
    """Report which networks have more or less duplication than the first, and the same given the loss."""
    reference, *others = (recording.name for recording in recordings)
    raw, given_loss = (
        {b: contrast for (_, b), contrast in contrasts_of(contrasts.frame, metric).items()}
        for metric in DUPLICATIONS
    )
    if not raw:
        return f"No comparison of duplication: {reference} or all others have fewer than two live signals."
    over, value = _over(recordings[0]), next(iter(raw.values())).reference
    parts = [f"Gradient duplication against {reference} ({value:.2f}): {_listed(raw, over)}"]
    if given_loss:
        parts.append(f"Given the loss: {_listed(given_loss, over)}")
    missing = [name for name in others if name not in raw]
    if missing:
        parts.append(f"Not defined, because fewer than two signals are live: {', '.join(missing)}")
    unfair = next(filter(None, (_unfair(recordings[0], other) for other in recordings[1:])), "")
    return ". ".join(parts) + f".{unfair}{_too_few_samples(recordings[0])}"


def _listed(contrasts: Mapping[str, Contrast], over: str) -> str:
    """List clear differences with their numbers, and the other networks with their values."""
    clauses = [
        f"{name} {contrast.clause(digits=2)} ({contrast.value:.2f}; {contrast.interval(over)})"
        for name, contrast in contrasts.items()
        if contrast.clear
    ]
    unclear = {name: contrast for name, contrast in contrasts.items() if not contrast.clear}
    for has_interval, text in (
        (False, "one seed, no interval, so no difference can be separated from noise: {}"),
        (True, "no difference that holds for {}"),
    ):
        listed = [
            f"{name} ({contrast.value:.2f}{contrast.corrected()})"
            for name, contrast in unclear.items()
            if contrast.has_interval == has_interval
        ]
        if listed:
            clauses.append(text.format(", ".join(listed)))
    return "; ".join(clauses)


def finding_of_paths(recording: Recording, paths: Table | None) -> str:
    """Report how many paths lead to the first layer, their length, and their length weighted by energy."""
    name = recording.name
    if paths is None:
        return f"{name} has no weighted layer, so there is no path to count."
    first = paths.frame.iloc[0]
    text = f"{name}: {_counted_paths(paths.frame)}"
    if math.isnan(first["effective_length"]):
        return f"{text}; no energy arrives there at this state."
    if first["paths"] == 1:
        return f"{text}."
    text += f"; weighted by energy {first['effective_length']:.1f}"
    if math.isfinite(first["effective_low"]):
        text += f" (95 % interval {first['effective_low']:.1f} to {first['effective_high']:.1f})"
    return f"{text}."


def _counted_paths(paths: pd.DataFrame) -> str:
    """Return the number of paths to the first layer, and their lengths."""
    row = paths.iloc[0]
    count, longest = int(row["paths"]), int(row["longest"])
    if count == 1:
        return f"the only path from the loss to {row['layer']} has {longest} layer{'s' * (longest != 1)}"
    number = f"{count:.3g} (exactly {count})" if count > MANY else str(count)
    return (
        f"{number} paths lead from the loss to {row['layer']}, of {row['shortest']} to {longest} layers, "
        f"{row['mean_length']:.1f} on average"
    )


def _unfair(first: Recording, second: Recording) -> str:
    """Return a warning if the two networks are compared over different kinds of layers; else empty."""
    difference = live_difference(first, second)
    return f" Not a fair comparison: {difference}." if difference else ""


def _too_few_samples(recording: Recording) -> str:
    """Return a warning if there are too few samples; else empty."""
    samples = recording.n * len(recording.replicates) // max(len(recording.seeds), 1)
    if samples >= ENOUGH:
        return ""
    return (
        f" Measured with only {samples} samples per seed; duplication is overestimated below about {ENOUGH}."
    )


def _over(recording: Recording) -> str:
    """Return " over ... batches" if an interval is over batches; else empty."""
    return f" over {len(recording.replicates)} batches" if recording.noise == "batches" else ""


def _too_few(recording: Recording) -> str:
    """Return why there are fewer than two signals."""
    watched = len(recording.signals)
    if watched < 2:
        sites = recording.provenance.sites
        return (
            f"{watched or 'no'} signal{'s' * (watched != 1)} watched with sites={sites}, but two are needed"
        )
    return f"fewer than two of its {watched} signals are live at this state"


def _row(frame: pd.DataFrame, stage: str) -> Mapping[str, float]:
    """Return the numbers of a stage."""
    row = frame[frame["stage"] == stage].iloc[0]
    return {str(name): float(value) for name, value in row.items() if not isinstance(value, str)}
