"""The answer in one sentence, whatever it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gradlens.analyzers.replicates import noise
from gradlens.analyzers.signals import WHOLE, network
from gradlens.analyzers.trust import ENOUGH, unlike_signals
from gradlens.grams import Recording
from gradlens.results import Table

CLEAR = 0.05
"""Corrected p below which a difference is called one."""
NOISE = "no difference beyond the noise between"
MANY = 10**6
"""A count that is also written as a power of ten."""


def finding_alone(recording: Recording, summary: Table) -> str:
    """Duplication of the whole network, where it is highest, and what remains given the loss."""
    name = network(recording)
    whole = _row(summary.frame, WHOLE)
    if math.isnan(whole["duplication"]):
        return f"{name}: duplication is not defined here, {_too_few(recording)}."
    stages = summary.frame[summary.frame["stage"] != WHOLE].dropna(subset=["duplication"])
    most = ""
    if len(stages) > 1:
        top = stages.sort_values("duplication", ascending=False).iloc[0]
        most = f", among the stages most in {top['stage']} ({top['duplication']:.2f})"
    given = whole["duplication_given_loss"]
    rest = "" if math.isnan(given) else f"; given the loss {_unsigned(given)}"
    live = int(whole["signals"] - whole["dead_signals"])
    within = ""
    if math.isfinite(whole.get("duplication_low", math.nan)):
        over = _over(recording)
        within = f" (95 % interval{over} {whole['duplication_low']:.2f} to {whole['duplication_high']:.2f})"
    text = (
        f"{name}: duplication {_unsigned(whole['duplication'])}{within} over {live} live signals{most}{rest}."
    )
    return text + _small(recording)


def finding_between(first: Recording, second: Recording, comparison: Table) -> str:
    """The difference in duplication of two networks, with its interval, and what remains given the loss."""
    a, b = network(first), network(second)
    whole = _row(comparison.frame, WHOLE)
    for recording, side in ((first, "a"), (second, "b")):
        if math.isnan(whole[f"duplication_{side}"]):
            return f"No comparison of duplication: {network(recording)}, {_too_few(recording)}."
    between, over = noise(first) or "seeds", _over(first)
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
    return f" over {len(recording.replicates)} batches" if noise(recording) == "batches" else ""


def finding_of_paths(recording: Recording, paths: Table | None) -> str:
    """How many paths lead to the first layer, how long they are, and how long those that carry energy."""
    name = network(recording)
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
        sites = recording.meta.get("sites", "signals")
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


def _signed(value: float, digits: int = 2) -> str:
    """With a sign, which zero has not.

    >>> _signed(0.123), _signed(-0.001), _signed(0.0)
    ('+0.12', '0.00', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def _unsigned(value: float, digits: int = 2) -> str:
    """With a sign only below zero.

    >>> _unsigned(0.123), _unsigned(-0.001)
    ('0.12', '0.00')
    """
    return _signed(value, digits).removeprefix("+")


def _numbers(row: Mapping[str, float], metric: str, over: str) -> str:
    left, right, low, high = (row[f"{metric}_{part}"] for part in ("a", "b", "low", "high"))
    if math.isnan(left) or math.isnan(right):
        return "(too few signals that vary beyond it)"
    digits = _digits(row, metric)
    against = f"{_unsigned(right, digits)} against {_unsigned(left, digits)}"
    if _same(row, metric):
        return f"({against})"
    interval = "one seed, no interval"
    if not math.isnan(low):
        interval = f"95 % interval of the difference{over} {_signed(low, digits)} to {_signed(high, digits)}"
    return f"({against}; {interval})"


def finding_among(recordings: Sequence[Recording], contrasts: Table) -> str:
    """Which networks have more or less duplication than the first, and what remains given the loss."""
    reference, *others = (network(recording) for recording in recordings)
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
    interval = f"95 % interval of the difference{over} {_signed(row['low'])} to {_signed(row['high'])}"
    return f"{row['b']} {amount} ({row['mean_b']:.2f}; {interval}{_corrected(row)})"


def _corrected(row: Mapping[Any, Any]) -> str:
    return "" if math.isnan(row["p_holm"]) else f", Holm p = {row['p_holm']:.2g}"


def finding_of_strategies(
    table: Table, differences: Table, learning: Table | None, state: str, model: str
) -> str:
    """The strategy that differs most from none (or from the first), with what remains given the loss.

    ``csp`` where it is there once; in a sweep the variant with the largest difference, which is said.
    """
    whole = table.frame[table.frame["stage"] == WHOLE]
    names = [str(name) for name in whole["network"]]
    found = dict(zip(names, whole["duplication"].astype(float).tolist(), strict=True))
    known = [name for name in names if math.isfinite(found[name])]
    if len(known) < 2 or differences.frame.empty:
        return f"{model}: {state} fewer than two strategies have a duplication to compare."
    base = "none" if "none" in known else known[0]
    others = [name for name in known if name != base]
    other = "csp" if "csp" in others else max(others, key=lambda name: abs(found[name] - found[base]))
    chosen = "" if "csp" in others or len(others) == 1 else f", the farthest of {len(others)} from {base},"
    parts = [
        _difference(differences.frame, metric, base, other)
        for metric in ("duplication", "duplication_given_loss")
    ]
    given = f"given the loss it{parts[1]}"
    text = (
        f"{model}: {state} {other}{chosen}{parts[0]}; {given}. {_beyond_noise(differences.frame, len(names))}"
    )
    return " ".join([text, *_learnt(learning)])


def _difference(frame: pd.DataFrame, metric: str, base: str, other: str) -> str:
    """What ``other`` has more or less than ``base``, as a clause without its subject."""
    whole = frame[(frame["stage"] == WHOLE) & (frame["metric"] == metric)]
    own = whole[(whole["a"] == base) & (whole["b"] == other)]
    turned = whole[(whole["a"] == other) & (whole["b"] == base)]
    if own.empty and turned.empty:
        return f" cannot be compared with {base}"
    row, sign = (own.iloc[0], 1) if len(own) else (turned.iloc[0], -1)
    value = sign * float(row["difference"])
    low, high = sorted((sign * float(row["low"]), sign * float(row["high"])))
    means = (row["mean_b"], row["mean_a"]) if sign > 0 else (row["mean_a"], row["mean_b"])
    side = "less" if value < 0 else "more"
    amount = f" has {abs(value):.2f} {side} duplication than {base} ({means[0]:.2f} against {means[1]:.2f}"
    if math.isnan(low):
        return f"{amount}; one seed, no interval)"
    p = float(row["p_holm"])
    told = f"{amount}, 95 % interval {_signed(low)} to {_signed(high)}, Holm p = {p:.2g})"
    if low <= 0 <= high:
        return f"{told}, {NOISE} seeds"
    return told if p < CLEAR else f"{told}, which does not hold among so many comparisons"


def _beyond_noise(frame: pd.DataFrame, variants: int) -> str:
    own = frame[(frame["stage"] == WHOLE) & (frame["metric"] == "duplication")]
    clear = int((own["p_holm"] < CLEAR).sum())
    return (
        f"Of {len(own)} pairs of {variants} strategies {clear} differ in duplication after Holm's correction."
    )


def _learnt(learning: Table | None) -> list[str]:
    """Whether duplication goes with held-out accuracy, where both were measured."""
    if learning is None:
        return []
    frame = learning.frame
    own = frame[(frame["metric"] == "duplication") & (frame["coefficient"] == "pearson")]
    row = own[own["over"] == "strategies within a seed"].iloc[0]
    if math.isnan(row["value"]):
        return ["Whether duplication goes with held-out accuracy cannot be told from so few runs."]
    return [
        f"Within a seed duplication and held-out accuracy correlate at {_signed(row['value'])} (95 % interval "
        f"{_signed(row['low'])} to {_signed(row['high'])}, {row['runs']} runs)."
    ]
