"""The main result of a study of strategies in a few sentences."""

from __future__ import annotations

import math

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import DUPLICATIONS
from gradlens.results import Table
from gradlens.words.wording import CLEAR, Contrast, contrasts_of, signed


def finding_of_strategies(
    table: Table, differences: Table, learning: Table | None, state: str, model: str
) -> str:
    """Compare one strategy with none (or with the first): its duplication, and the same given the loss.

    The strategy is ``csp`` if there is a single one; in a sweep it is the variant with the largest difference, and
    the sentence states that.
    """
    whole = table.frame[table.frame["stage"] == WHOLE]
    names = [str(name) for name in whole["network"]]
    values = dict(zip(names, whole["duplication"].astype(float).tolist(), strict=True))
    known = [name for name in names if math.isfinite(values[name])]
    if len(known) < 2 or differences.frame.empty:
        return f"{model}: {state} fewer than two strategies have a duplication to compare."
    base = "none" if "none" in known else known[0]
    others = [name for name in known if name != base]
    other = "csp" if "csp" in others else max(others, key=lambda name: abs(values[name] - values[base]))
    choice = "" if "csp" in others or len(others) == 1 else f", the farthest of {len(others)} from {base},"
    raw, given_loss = (_contrast(differences.frame, metric, base, other) for metric in DUPLICATIONS)
    sentence = f"{other}{choice} cannot be compared with {base}"
    if raw is not None:
        sentence = f"{raw.sentence(other + choice, base, 'duplication')} {raw.numbers()}"
    remaining = "Given the loss, the two cannot be compared."
    if given_loss is not None:
        remaining = f"Given the loss, {given_loss.clause()} {given_loss.numbers()}."
    return " ".join(
        [
            f"{model}: {state} {sentence}. {remaining}",
            _clear_pairs(differences.frame, len(names)),
            *_accuracy(learning),
        ]
    )


def _contrast(frame: pd.DataFrame, metric: str, base: str, other: str) -> Contrast | None:
    """Return the comparison of ``other`` with ``base`` in the whole network, or None if the table lacks it."""
    contrasts = contrasts_of(frame, metric)
    if (other, base) in contrasts:
        return contrasts[other, base].reversed()
    return contrasts.get((base, other))


def _clear_pairs(frame: pd.DataFrame, variants: int) -> str:
    """Count the pairs of strategies that differ in duplication."""
    pairs = contrasts_of(frame, "duplication").values()
    clear = sum(pair.p < CLEAR for pair in pairs)
    plural = "s" * (len(pairs) != 1)
    return (
        f"Of {len(pairs)} pair{plural} of {variants} strategies, {clear} differ in duplication after Holm's "
        "correction."
    )


def _accuracy(learning: Table | None) -> list[str]:
    """Report the correlation of duplication with held-out accuracy, if both were measured."""
    if learning is None:
        return []
    frame = learning.frame
    rows = frame[(frame["metric"] == "duplication") & (frame["coefficient"] == "pearson")]
    row = rows[rows["over"] == "strategies within a seed"].iloc[0]
    if math.isnan(row["value"]):
        return ["There are too few runs to show whether duplication correlates with held-out accuracy."]
    return [
        f"Within a seed, duplication and held-out accuracy correlate at {signed(row['value'])} (95 % interval "
        f"{signed(row['low'])} to {signed(row['high'])}, {row['runs']} runs)."
    ]
