"""The answer in one sentence, whatever it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.recording import Recording
from gradlens.results import Table
from gradlens.words.warnings import ENOUGH, unlike_signals
from gradlens.words.wording import CLEAR, NOISE, signed, unsigned

MANY = 10**6
"""A count that is also written as a power of ten."""


def finding_alone(recording: Recording, summary: Table) -> str:
    """Duplication of the whole network, where it is highest, and what remains given the loss."""
    name = recording.name
    whole = _row(summary.frame, WHOLE)
    if math.isnan(whole["duplication"]):
        return f"{name}: duplication is not defined here, {_too_few(recording)}."
    stages = summary.frame[summary.frame["stage"] != WHOLE].dropna(subset=["duplication"])
    most = ""
    if len(stages) > 1:
        top = stages.sort_values("duplication", ascending=False).iloc[0]
        most = f", among the stages most in {top['stage']} ({top['duplication']:.2f})"
    given = whole["duplication_given_loss"]
    rest = "" if math.isnan(given) else f"; given the loss {unsigned(given)}"
    live = int(whole["signals"] - whole["dead_signals"])
    within = ""
    if math.isfinite(whole.get("duplication_low", math.nan)):
        over = _over(recording)
        within = f" (95 % interval{over} {whole['duplication_low']:.2f} to {whole['duplication_high']:.2f})"
    text = (
        f"{name}: duplication {unsigned(whole['duplication'])}{within} over {live} live signals{most}{rest}."
    )
    return text + _small(recording)


def finding_between(first: Recording, second: Recording, comparison: Table) -> str:
    """The difference in duplication of two networks, with its interval, and what remains given the loss."""
    a, b = first.name, second.name
    whole = _row(comparison.frame, WHOLE)
    for recording, side in ((first, "a"), (second, "b")):
        if math.isnan(whole[f"duplication_{side}"]):
            return f"No comparison of duplication: {recording.name}, {_too_few(recording)}."
    between, over = first.noise or "seeds", _over(first)
    return (
        f"{_said(whole, 'duplication', a, b, between)} {_numbers(whole, 'duplication', over)}; given the loss, "
        f"{_amount(whole, 'duplication_given_loss', between)} {_numbers(whole, 'duplication_given_loss', over)}."
        f"{_unfair(first, second)}{_small(first)}"
    )


def _unfair(first: Recording, second: Recording) -> str:
    """Said where what is compared is not of one kind."""
    unlike = unlike_signals(first, second)
    return f" Not a fair comparison: {unlike}." if unlike else ""


def _small(recording: Recording) -> str:
    """Said where the samples cannot carry the number."""
    samples = recording.n * len(recording.replicates) // max(len(recording.seeds), 1)
    if samples >= ENOUGH:
        return ""
    return f" From {samples} samples a seed, which is too few: duplication reads high below about {ENOUGH}."


def _over(recording: Recording) -> str:
    """Said of an interval that is not over seeds."""
    return f" over {len(recording.replicates)} batches" if recording.noise == "batches" else ""


def finding_of_paths(recording: Recording, paths: Table | None) -> str:
    """How many paths lead to the first layer, how long they are, and how long those that carry energy."""
    name = recording.name
    if paths is None:
        return f"{name} has no weighted layer, so there is no path to count."
    first = paths.frame.iloc[0]
    count = int(first["paths"])
    many = f"{count:.3g} (exactly {count})" if count > MANY else str(count)
    text = (
        f"{name}: {many} path{'s' * (count != 1)} lead{'s' * (count == 1)} from the loss to {first['layer']}, of "
        f"{first['shortest']} to {first['longest']} layers, {first['mean_length']:.1f} on average"
    )
    if math.isnan(first["effective_length"]):
        return f"{text}; no energy arrives there at this state."
    text += f"; weighted by energy {first['effective_length']:.1f}"
    if math.isfinite(first["effective_low"]):
        text += f" (95 % interval {first['effective_low']:.1f} to {first['effective_high']:.1f})"
    return f"{text}."


def _too_few(recording: Recording) -> str:
    """Why two signals are wanting."""
    watched = len(recording.plan.signals)
    if watched < 2:
        sites = recording.provenance.sites
        return f"{watched or 'no'} signal{'s' * (watched != 1)} watched with sites={sites}, and it takes two"
    return f"fewer than two of its {watched} signals carry gradient at this state"


def _row(frame: pd.DataFrame, stage: str) -> Mapping[str, float]:
    own = frame[frame["stage"] == stage].iloc[0]
    return {str(name): float(value) for name, value in own.items() if not isinstance(value, str)}


def _said(row: Mapping[str, float], metric: str, a: str, b: str, between: str) -> str:
    amount = _amount(row, metric, between)
    if amount.endswith("not defined"):
        return f"Between {a} and {b} {amount} for gradient duplication"
    if amount.startswith("no difference"):
        return f"{b} and {a} show {amount} in gradient duplication"
    return f"{b} has {amount} gradient duplication than {a}"


def _amount(row: Mapping[str, float], metric: str, between: str) -> str:
    difference, low, high = (row[f"{metric}_{part}"] for part in ("difference", "low", "high"))
    if math.isnan(difference):
        return "the difference is not defined"
    if _same(row, metric):
        return "no difference, the same to all digits,"
    if low <= 0 <= high:
        return f"{NOISE} {between}"
    if round(abs(difference), 2) == 0:
        return "no difference, to two digits,"
    return f"{abs(difference):.{_digits(row, metric)}f} {'less' if difference < 0 else 'more'}"


def _digits(row: Mapping[str, float], metric: str) -> int:
    """Two, or three where two would make the difference of the values another than the one that is said."""
    left, right, difference = (row[f"{metric}_{part}"] for part in ("a", "b", "difference"))
    return 2 if abs(round(right, 2) - round(left, 2) - round(difference, 2)) < 1e-9 else 3


def _same(row: Mapping[str, float], metric: str) -> bool:
    """Not only within the noise: no seed shows any difference, as of a network and itself."""
    return all(row[f"{metric}_{part}"] == 0 for part in ("difference", "low", "high"))


def _numbers(row: Mapping[str, float], metric: str, over: str) -> str:
    left, right, low, high = (row[f"{metric}_{part}"] for part in ("a", "b", "low", "high"))
    if math.isnan(left) or math.isnan(right):
        return "(too few signals that vary beyond it)"
    digits = _digits(row, metric)
    against = f"{unsigned(right, digits)} against {unsigned(left, digits)}"
    if _same(row, metric):
        return f"({against})"
    interval = "one seed, no interval"
    if not math.isnan(low):
        interval = f"95 % interval of the difference{over} {signed(low, digits)} to {signed(high, digits)}"
    return f"({against}; {interval})"


def finding_among(recordings: Sequence[Recording], contrasts: Table) -> str:
    """Which networks have more or less duplication than the first, and what remains given the loss."""
    reference, *others = (recording.name for recording in recordings)
    whole = contrasts.frame[contrasts.frame["stage"] == WHOLE]
    rows = whole[whole["metric"] == "duplication"].to_dict("records")
    if not rows:
        return f"No comparison of duplication: {reference} or all others have fewer than two live signals."
    over = _over(recordings[0])
    found = f"Gradient duplication against {reference} ({rows[0]['mean_a']:.2f}): {_contrasted(rows, over)}"
    given = whole[whole["metric"] == "duplication_given_loss"].to_dict("records")
    parts = [found, *([f"Given the loss: {_contrasted(given, over)}"] if given else [])]
    missing = [name for name in others if name not in {str(row["b"]) for row in rows}]
    if missing:
        parts.append(f"Not defined, for want of two live signals: {', '.join(missing)}")
    told = [_unfair(recordings[0], other) for other in recordings[1:]]
    return ". ".join(parts) + "." + next((text for text in told if text), "") + _small(recordings[0])


def _contrasted(rows: Sequence[Mapping[Any, Any]], over: str) -> str:
    """The differences that hold with their numbers; the other networks by name and value."""
    holding = [row for row in rows if _holds(row)]
    alone = [row for row in rows if math.isnan(row["low"])]
    rest = [row for row in rows if not _holds(row) and row not in alone]
    clauses = [_contrast(row, over) for row in holding]
    if alone:
        named = ", ".join(f"{row['b']} ({row['mean_b']:.2f})" for row in alone)
        clauses.append(f"one seed, no interval, so nothing can be told from noise: {named}")
    if rest:
        named = ", ".join(f"{row['b']} ({row['mean_b']:.2f}{_corrected(row)})" for row in rest)
        clauses.append(f"no difference that holds for {named}")
    return "; ".join(clauses)


def _holds(row: Mapping[Any, Any]) -> bool:
    """Beyond the noise between seeds, also among so many; without an interval nothing can be told from noise."""
    if math.isnan(row["low"]):
        return False
    return not row["low"] <= 0 <= row["high"] and not row["p_holm"] >= CLEAR


def _contrast(row: Mapping[Any, Any], over: str) -> str:
    amount = f"{abs(row['difference']):.2f} {'less' if row['difference'] < 0 else 'more'}"
    if round(abs(row["difference"]), 2) == 0:
        amount = "no difference to two digits"
    interval = f"95 % interval of the difference{over} {signed(row['low'])} to {signed(row['high'])}"
    return f"{row['b']} {amount} ({row['mean_b']:.2f}; {interval}{_corrected(row)})"


def _corrected(row: Mapping[Any, Any]) -> str:
    return "" if math.isnan(row["p_holm"]) else f", Holm p = {row['p_holm']:.2g}"
