"""The answer of a study of strategies in a few sentences."""

from __future__ import annotations

import math

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.results import Table
from gradlens.words.wording import CLEAR, NOISE, signed


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
    told = f"{amount}, 95 % interval {signed(low)} to {signed(high)}, Holm p = {p:.2g})"
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
        f"Within a seed duplication and held-out accuracy correlate at {signed(row['value'])} (95 % interval "
        f"{signed(row['low'])} to {signed(row['high'])}, {row['runs']} runs)."
    ]
