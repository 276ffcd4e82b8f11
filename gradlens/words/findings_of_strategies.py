"""The main result of a study of strategies in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import COUNTERPARTS, QUALITIES
from gradlens.comparisons.effects import CUT, TRANSITIONS
from gradlens.comparisons.training import STRATEGIES, WITHIN
from gradlens.results import Table
from gradlens.words.answers import answer
from gradlens.words.wording import Verdict, signed, verdicts_of

MAIN, GIVEN_LOSS = COUNTERPARTS
"""The rarefied duplication, unchanged and given the loss."""
FEW = 5
"""Least number of strategies whose means are correlated in the finding."""


def finding_of_strategies(tables: dict[str, Table], state: str, model: str) -> str:
    """Compare one strategy with none (or with the first): its effect by parts, and the same given the loss.

    The strategy is ``csp`` if there is a single one; in a sweep it is the variant with the largest difference, and
    the sentence states that.

    Args:
        tables: of the result.
        state: when it was measured: ``at initialisation``.
        model: name of the network.
    """
    table, differences = tables["strategies"].frame, tables["differences"].frame
    whole = table[table["stage"] == WHOLE]
    names = [str(name) for name in whole["network"]]
    values = dict(zip(names, whole[MAIN].astype(float).tolist(), strict=True))
    known = [name for name in names if math.isfinite(values[name])]
    if len(known) < 2 or differences.empty:
        return f"{model}, {state}: fewer than two strategies have a duplication to compare."
    base = "none" if "none" in known else known[0]
    effects = tables.get("effects")
    controlled = [] if effects is None else [name for name in known if name in set(effects.frame["strategy"])]
    others = controlled or [name for name in known if name != base]
    other = "csp" if "csp" in others else max(others, key=lambda name: abs(values[name] - values[base]))
    choice = "" if "csp" in others or len(others) == 1 else f", the farthest of {len(others)} from {base},"
    raw, given_loss = (_verdict(differences, metric, base, other) for metric in (MAIN, GIVEN_LOSS))
    parts = _parts(effects, other)
    plain, *numbers = [f"{other}{choice} cannot be compared with {base}"]
    if raw is not None and given_loss is not None:
        plain = answer(raw, given_loss, f"{other}{choice}", base)
        numbers = [f"In numbers: {raw.clause()}."]
    remaining = [] if given_loss is None else [f"Given the loss, {given_loss.clause()}."]
    return " ".join(
        [
            f"{model}, {state}: {plain}{_parts_in_words(parts)}.",
            *numbers,
            *(f"{subject}: {verdict.clause()}." for subject, verdict in parts.items()),
            *remaining,
            _clear_pairs(differences),
            *_accuracy(tables.get("learning")),
        ]
    )


def _parts(effects: Table | None, strategy: str) -> dict[str, Verdict]:
    """Return the effect of the transitions of a strategy, and that of its cut; nothing without a control."""
    if effects is None:
        return {}
    frame = effects.frame[effects.frame["strategy"] == strategy]
    parts = {}
    for effect, subject in ((TRANSITIONS, "Its transitions alone"), (CUT, "The cut itself")):
        verdicts = list(verdicts_of(frame[frame["effect"] == effect], MAIN).values())
        if verdicts:
            parts[subject] = verdicts[0]
    return parts


def _parts_in_words(parts: Mapping[str, Verdict]) -> str:
    """Return the effects of the parts as a clause without numbers, each with what it is compared with."""
    words = {
        "less": "less",
        "more": "more",
        "depends": "it depends on how layers are counted",
        "undefined": "not defined",
        "none": "no difference holds",
    }
    return "".join(
        f"; {subject[0].lower()}{subject[1:]}: {words[part.answer]}" for subject, part in parts.items()
    )


def _verdict(frame: pd.DataFrame, metric: str, base: str, other: str) -> Verdict | None:
    """Return the comparison of ``other`` with ``base`` in the whole network, or None if the table lacks it."""
    verdicts = verdicts_of(frame, metric)
    if (other, base) in verdicts:
        return verdicts[other, base].reversed()
    return verdicts.get((base, other))


def _clear_pairs(frame: pd.DataFrame) -> str:
    """Count the pairs of strategies that differ in duplication."""
    pairs = verdicts_of(frame, MAIN)
    variants = len({name for pair in pairs for name in pair})
    clear = sum(pair.clear for pair in pairs.values())
    plural = "s" * (len(pairs) != 1)
    return (
        f"Of {len(pairs)} pair{plural} of {variants} networks, {clear} differ in duplication, by D_m and by mean "
        "similarity, after Holm's correction."
    )


def _accuracy(learning: Table | None) -> list[str]:
    """Report the correlation of duplication with held-out accuracy, if both were measured."""
    if learning is None:
        return []
    frame = learning.frame
    quality = QUALITIES[str(frame["quality"].iloc[0]) if "quality" in frame else "accuracy"]
    rows = frame[(frame["metric"] == MAIN) & (frame["coefficient"] == "pearson")]
    by_unit = {str(row["over"]): row for row in rows.to_dict("records")}
    means = by_unit.get(STRATEGIES, {"runs": 0})
    row = means if int(means["runs"]) >= FEW else by_unit[WITHIN]
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if math.isnan(value) or math.isnan(low):
        return [f"There are too few runs to show whether duplication correlates with held-out {quality}."]
    subject = "Over the means of the strategies" if row is means else "Within a seed"
    return [
        f"{subject}, duplication and held-out {quality} correlate at {signed(value)} (95 % interval {signed(low)} to "
        f"{signed(high)}, {row['runs']} {'strategies' if row is means else 'runs'})."
    ]
