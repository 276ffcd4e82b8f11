"""The answer in one sentence, whatever it is."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from gradlens.analyzers.signals import WHOLE, network
from gradlens.grams import Recording
from gradlens.results import Table


def finding_alone(recording: Recording, summary: Table) -> str:
    """Duplication of the whole network, where it is highest, and what remains given the loss."""
    name = network(recording)
    whole = _row(summary.frame, WHOLE)
    if math.isnan(whole["duplication"]):
        return f"{name}: duplication is not defined here, fewer than two of its signals carry gradient."
    stages = summary.frame[summary.frame["stage"] != WHOLE].dropna(subset=["duplication"])
    most = ""
    if len(stages):
        top = stages.sort_values("duplication", ascending=False).iloc[0]
        most = f", most in stage {top['stage']} ({top['duplication']:.2f})"
    given = whole["duplication_given_loss"]
    rest = "" if math.isnan(given) else f"; given the loss {given:.2f}"
    live = int(whole["signals"] - whole["dead_signals"])
    return f"{name}: duplication {whole['duplication']:.2f} over {live} live signals{most}{rest}."


def finding_between(first: Recording, second: Recording, comparison: Table) -> str:
    """The difference in duplication of two networks, with its interval, and what remains given the loss."""
    a, b = network(first), network(second)
    whole = _row(comparison.frame, WHOLE)
    for name, side in ((a, "a"), (b, "b")):
        if math.isnan(whole[f"duplication_{side}"]):
            return f"No comparison: fewer than two signals of {name} carry gradient at this state."
    return (
        f"{_said(whole, 'duplication', a, b)} {_numbers(whole, 'duplication')}; given the loss, "
        f"{_amount(whole, 'duplication_given_loss')} {_numbers(whole, 'duplication_given_loss')}."
    )


def _row(frame: pd.DataFrame, stage: str) -> Mapping[str, float]:
    own = frame[frame["stage"] == stage].iloc[0]
    return {str(name): float(value) for name, value in own.items() if not isinstance(value, str)}


def _said(row: Mapping[str, float], metric: str, a: str, b: str) -> str:
    amount = _amount(row, metric)
    if amount.endswith("not defined"):
        return f"Between {a} and {b} {amount} for gradient duplication"
    if amount.startswith("no difference"):
        return f"{b} and {a} show {amount} in gradient duplication"
    return f"{b} has {amount} gradient duplication than {a}"


def _amount(row: Mapping[str, float], metric: str) -> str:
    difference, low, high = (row[f"{metric}_{part}"] for part in ("difference", "low", "high"))
    if math.isnan(difference):
        return "the difference is not defined"
    if low <= 0 <= high:
        return "no difference beyond the noise between seeds"
    if round(abs(difference), 2) == 0:
        return "no difference, to two digits,"
    return f"{abs(difference):.2f} {'less' if difference < 0 else 'more'}"


def _numbers(row: Mapping[str, float], metric: str) -> str:
    left, right, low, high = (row[f"{metric}_{part}"] for part in ("a", "b", "low", "high"))
    if math.isnan(left) or math.isnan(right):
        return "(too few signals that vary beyond it)"
    interval = "one seed, no interval"
    if not math.isnan(low):
        interval = f"95 % interval of the difference {low:+.2f} to {high:+.2f}"
    return f"({right:.2f} against {left:.2f}; {interval})"
