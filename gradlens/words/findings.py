"""The main result of a study in one or two sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import COUNTERPARTS
from gradlens.numbers import power_of_ten
from gradlens.recording import Recording
from gradlens.results import Table
from gradlens.words.along_time import along_time
from gradlens.words.answers import answer, answers, opened
from gradlens.words.warnings import BIASED, bias_of, live_difference
from gradlens.words.wording import Verdict, unsigned, verdict_of, verdicts_of

MANY = 10**6
"""From this count on, the exact count follows the power of ten."""
UNFAIR = "Not a fair comparison"
"""Opening of a finding about networks of which different kinds of layers are compared."""


def finding_alone(recording: Recording, summary: Table) -> str:
    """Report the mean similarity and the effective number of signals of the network, and the most similar stage."""
    name = recording.name
    whole = _row(summary.frame, WHOLE)
    fault, in_numbers = along_time(recording)
    if math.isnan(whole["mean_similarity"]):
        undefined = f"duplication is not defined here, {_too_few(recording)}"
        return f"{name}: {_after(fault, undefined)}.{in_numbers}"
    top = _highest(summary.frame)
    given_loss = whole["mean_similarity_given_loss"]
    remaining = "" if math.isnan(given_loss) else f" Given the loss, it is {unsigned(given_loss)}."
    counted = _after(fault, _counted(whole)) + (f", most alike in stage {top[0]}" if top else "")
    return (
        f"{name}: {counted}. Mean similarity of two {_with_interval(whole, 'mean_similarity', recording)}"
        f"{f', {unsigned(top[1])} in stage {top[0]}' if top else ''}.{remaining} "
        f"Duplication D_{int(whole['m'])} {unsigned(whole['rarefied_duplication'])}."
        f"{in_numbers}{_too_few_samples(recording, whole['m'])}{_scope(recording)}"
    )


def _after(fault: str, clause: str) -> str:
    """Return a clause, as a sentence of its own after that of a fault if there is one."""
    return f"{fault}. {clause[0].upper()}{clause[1:]}" if fault else clause


def _counted(whole: Mapping[str, float]) -> str:
    """Return how many gradients reach the layers, and how many distinct ones they count as."""
    signals, dead = int(whole["signals"]), int(whole["dead_signals"])
    distinct = f"count as {whole['n_eff']:.1f} distinct ones"
    if not dead:
        return f"the {signals} gradients that reach its layers {distinct}"
    are = "is" if dead == 1 else "are"
    return f"{dead} of its {signals} gradients {are} exactly zero, the other {signals - dead} {distinct}"


def _with_interval(whole: Mapping[str, float], metric: str, recording: Recording) -> str:
    """Return a value with its interval, if there is one."""
    low, high = (whole.get(f"{metric}_{end}", math.nan) for end in ("low", "high"))
    interval = f" (95 % interval{_over(recording)} {unsigned(low)} to {unsigned(high)})"
    return unsigned(whole[metric]) + (interval if math.isfinite(low) else "")


def _highest(frame: pd.DataFrame) -> tuple[str, float] | None:
    """Return the stage with the most similar signals and their mean similarity; None for a network of one stage."""
    stages = frame[frame["stage"] != WHOLE].dropna(subset=["mean_similarity"])
    if len(stages) < 2:
        return None
    top = stages.sort_values("mean_similarity", ascending=False).iloc[0]
    return str(top["stage"]), float(top["mean_similarity"])


def finding_between(first: Recording, second: Recording, comparison: Table) -> str:
    """Report which of two networks has less duplication in a plain sentence, then the numbers and their limits."""
    whole = _row(comparison.frame, WHOLE)
    for recording, side in ((first, "a"), (second, "b")):
        if math.isnan(whole[f"mean_similarity_{side}"]):
            return f"No comparison of duplication: {recording.name}, {_too_few(recording)}."
    noise, over = _noise(first, second), _over(first)
    raw, given_loss = (verdict_of(whole, metric) for metric in COUNTERPARTS)
    unfair = _unfair(first, second)
    plain = answer(raw, given_loss, second.name, first.name, noise)
    return (
        f"{f'{UNFAIR}: {plain}' if unfair else opened(plain)}. In numbers: {raw.clause(noise, over)}. "
        f"Given the loss, {given_loss.clause(noise, over)}."
        f"{unfair}{_too_few_samples(first, whole['m'])}{_scope(first, second)}"
    )


def finding_among(recordings: Sequence[Recording], contrasts: Table) -> str:
    """Report which networks have more or less duplication than the first, and the same given the loss."""
    reference, *others = (recording.name for recording in recordings)
    raw, given_loss = (
        {b: verdict for (_, b), verdict in verdicts_of(contrasts.frame, metric).items()}
        for metric in COUNTERPARTS
    )
    if not raw:
        return f"No comparison of duplication: {reference} or all others have fewer than two live signals."
    over, verdict = _over(recordings[0]), next(iter(raw.values()))
    against = f"{verdict.label} {unsigned(verdict.duplication.reference)}, mean similarity "
    unfair = next(filter(None, (_unfair(recordings[0], other) for other in recordings[1:])), "")
    missing = [name for name in others if name not in raw]
    plain = answers(raw, given_loss, reference, missing)
    parts = [
        f"{UNFAIR}: g{plain[1:]}" if unfair else plain,
        f"In numbers, against {reference} ({against}{unsigned(verdict.similarity.reference)}): {_listed(raw, over)}",
    ]
    if given_loss:
        parts.append(f"Given the loss: {_listed(given_loss, over)}")
    if missing:
        parts.append(f"Not defined, because fewer than two signals are live: {', '.join(missing)}")
    samples = _too_few_samples(recordings[0], verdict.m)
    return ". ".join(parts) + f".{unfair}{samples}{_scope(*recordings)}"


def _listed(verdicts: Mapping[str, Verdict], over: str) -> str:
    """List clear differences with their numbers, those that depend on the counting, and the other networks."""
    clauses = [
        f"{name} {verdict.clause(over=over)}"
        for name, verdict in verdicts.items()
        if verdict.clear or verdict.depends
    ]
    unclear = {name: verdict for name, verdict in verdicts.items() if not (verdict.clear or verdict.depends)}
    for has_interval, text in (
        (False, "one seed, no interval, so no difference can be separated from noise: {}"),
        (True, "no difference that holds for {}"),
    ):
        listed = [
            f"{name} ({unsigned(verdict.duplication.value)}, {unsigned(verdict.similarity.value)})"
            for name, verdict in unclear.items()
            if verdict.duplication.has_interval == has_interval
        ]
        if listed:
            clauses.append(text.format(", ".join(listed)))
    return "; ".join(clauses)


def _noise(*recordings: Recording) -> str:
    """Return what the intervals are over."""
    noise = recordings[0].noise or "seeds"
    return "samples, with these weights" if noise == "seeds" and _fixed(*recordings) else noise


def _fixed(*recordings: Recording) -> bool:
    """Return whether all networks have stored weights, which are the same for every seed."""
    return all(recording.provenance.stored_weights for recording in recordings)


def _scope(*recordings: Recording) -> str:
    """Return a remark if seeds do not vary the weights, so that nothing follows for the architecture; else empty."""
    stored = [recording.name for recording in recordings if recording.provenance.stored_weights]
    if not stored:
        return ""
    those = "these weights" if len(stored) == len(recordings) else f"the weights of {', '.join(stored)}"
    this = "This" if len(recordings[0].seeds) == 1 else "The seeds vary the samples only: this"
    return f" {this} is about {those}, not about the architecture."


def finding_of_paths(recording: Recording, paths: Table | None) -> str:
    """Report how many paths lead to the first layer, their length, and their length weighted by energy."""
    name = recording.name
    if paths is None:
        return f"{name} has no weighted layer, so there is no path to count."
    first = paths.frame.iloc[0]
    text = f"{name}: {_counted_paths(paths.frame)}"
    if math.isnan(first["effective_length"]):
        text += "; no energy arrives there at this state"
    elif int(first["paths"]) > 1:
        text += f"; weighted by energy {first['effective_length']:.1f}"
    return f"{text}.{_exactly(first)}"


def _counted_paths(paths: pd.DataFrame) -> str:
    """Return the number of paths to the first layer, and their lengths."""
    row = paths.iloc[0]
    count, longest = int(row["paths"]), int(row["longest"])
    if count == 1:
        return f"the only path from the loss to {row['layer']} has {longest} layer{'s' * (longest != 1)}"
    return (
        f"{power_of_ten(count)} paths lead from the loss to {row['layer']}, of {row['shortest']} to {longest} layers, "
        f"{row['mean_length']:.1f} on average"
    )


def _exactly(first: pd.Series[Any]) -> str:
    """Return the exact number of paths and the interval of their weighted length, as sentences."""
    count = int(first["paths"])
    text = f" Exactly {count} paths." if count >= MANY else ""
    if count == 1 or not math.isfinite(first["effective_low"]):
        return text
    low, high = first["effective_low"], first["effective_high"]
    return f"{text} 95 % interval of the weighted length: {low:.1f} to {high:.1f}."


def _unfair(first: Recording, second: Recording) -> str:
    """Return a warning if the two networks are compared over different kinds of layers; else empty."""
    difference = live_difference(first, second)
    return f" It is not fair because {difference}." if difference else ""


def _too_few_samples(recording: Recording, m: float) -> str:
    """Return a warning if the batches are so small that a duplication of ``m`` signals is biased; else empty."""
    bias = bias_of(recording, m)
    if not bias > BIASED:
        return ""
    return (
        f" Duplication is overestimated by up to about {bias:.2f} with batches of {recording.n} samples; "
        f"{'give' if recording.provenance.own_batches else 'use'} larger batches."
    )


def _over(recording: Recording) -> str:
    """Return " over ... batches" if an interval is over batches; else empty."""
    return f" over {len(recording.replicates)} batches" if recording.noise == "batches" else ""


def _too_few(recording: Recording) -> str:
    """Return why there are fewer than two signals."""
    watched = len(recording.signals)
    if watched < 2:
        sites = recording.provenance.sites
        frozen = len(recording.provenance.frozen_layers)
        return (
            f"{watched or 'no'} signal{'s' * (watched != 1)} watched with sites={sites}, but two are needed"
            + (f" ({frozen} layer{'s are' if frozen > 1 else ' is'} frozen)" if frozen else "")
        )
    unsampled = sum(not signal.sampled for signal in recording.signals)
    if watched - unsampled < 2:
        return f"the samples of {unsampled} of its {watched} signals cannot be told apart"
    return f"fewer than two of its {watched} signals are live at this state"


def _row(frame: pd.DataFrame, stage: str) -> Mapping[str, float]:
    """Return the numbers of a stage."""
    row = frame[frame["stage"] == stage].iloc[0]
    return {str(name): float(value) for name, value in row.items() if not isinstance(value, str)}
