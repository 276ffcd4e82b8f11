"""False alarms: how often networks that do not differ are said to, and how often unrelated numbers to correlate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

import gradlens as gl
from benchmarks.validation_rows import Row, row
from gradlens.analyzers.duplication import common_sizes
from gradlens.analyzers.signals import WHOLE
from gradlens.catalogue import CORRECTED, COUNTERPARTS
from gradlens.comparisons.comparison import TESTED, Comparison
from gradlens.comparisons.summary import seed_metrics
from gradlens.metrics import association, holm, p_of_half_widths
from gradlens.metrics.hsic import Array
from gradlens.words.wording import CLEAR, verdict_of

GROUPS, SETS, SEEDS = 5, 16, 3
"""Groups of sets of weights with samples of their own; a set of weights has one network for each seed."""
SCALE = {"batch_size": 32, "batches": 4, "image_size": 32}
PAIRED = ("resnet18", "resnet34")
REPLICATES = 24
STRATEGIES, LEARNED, TABLES = 2, 5, 20_000
"""Strategies and seeds of a simulated table ``learning``, and the number of tables."""
PAIRING = """\
Two sets of weights of one architecture do not differ, so each difference that is reported between them is a false
alarm. Rates are means over the groups; pairs of a group share sets of weights, so the groups show the precision.
Differences are paired by seed because both networks see the same samples in the same order: the paired interval
holds whether or not their values are correlated, and is narrower if they are, which between two architectures is
little (last rows)."""


def least_t(hypotheses: int, seeds: int) -> float:
    """Return |t| of a paired difference above which the smallest p of a table holds after Holm's correction.

    >>> round(least_t(1, 3), 1), round(least_t(30, 3), 1), round(least_t(30, 5), 1)
    (4.3, 24.5, 7.5)
    """
    return float(student_t.isf(CLEAR / hypotheses / 2, seeds - 1))


POWER = f"""\
Few seeds can show little. Of 30 hypotheses, the smallest p must be below 0.05/30: |t| must exceed \
{least_t(30, 3):.1f} with
3 seeds (2 degrees of freedom), {least_t(30, 5):.1f} with 5 and {least_t(30, 10):.1f} with 10; \
of 15 hypotheses {least_t(15, 3):.1f}, {least_t(15, 5):.1f} and {least_t(15, 10):.1f}. So with 3
seeds, the default, most differences cannot hold after the correction over the whole table, even if they are true. Use 5
seeds or more."""


class Alarms(NamedTuple):
    """What one pair of sets of weights is reported to differ in.

    Attributes:
        intervals: whether each interval leaves out 0, over all tested quantities and stages.
        main: whether an interval of a D_m does.
        finding: whether the finding names a difference.
        depends: whether it says that the answer depends on how layers are counted.
        by_stage: whether a p-value corrected within its stage is below 0.05.
        whole: whether a p-value corrected over the whole table is.
    """

    intervals: list[bool]
    main: bool
    finding: bool
    depends: bool
    by_stage: bool
    whole: bool


def recorded(name: str, weights: int, samples: int) -> gl.Recording:
    """Capture a network with initial weights and digits of the given seeds."""
    model = gl.load_model(name, num_classes=10, image_size=SCALE["image_size"], seed=weights)
    data = gl.load_data("digits", seed=samples, **SCALE)
    return gl.capture(model, data, seed=samples, costs=False)


def weight_sets(group: int) -> list[gl.Recording]:
    """Return the sets of weights of a group, each measured on the same samples."""
    samples = range(SEEDS * group, SEEDS * (group + 1))
    sets = []
    for number in range(SETS):
        first, *others = (recorded("resnet18", SETS * seed + number, seed) for seed in samples)
        sets.append(first.merge(*others))
    return sets


def alarms_of(first: gl.Recording, second: gl.Recording) -> Alarms:
    """Compare two sets of weights as ``compare`` does."""
    frame = Comparison()(first, second).frame
    low, high, difference = (
        frame[[f"{metric}_{end}" for metric in TESTED]].to_numpy(float)
        for end in ("low", "high", "difference")
    )
    leaves_out = np.where(np.isfinite(low), (low > 0) | (high < 0), False)
    p = p_of_half_widths(difference, difference - low, SEEDS)
    row = frame[frame["stage"] == WHOLE].iloc[0].to_dict()
    whole = {str(name): float(value) for name, value in row.items() if name != "stage"}
    verdicts = [verdict_of(whole, metric) for metric in COUNTERPARTS]
    rarefied = [metric.startswith("rarefied") for metric in TESTED]
    return Alarms(
        leaves_out[np.isfinite(low)].tolist(),
        bool(leaves_out[:, rarefied].any()),
        any(verdict.clear for verdict in verdicts),
        any(verdict.depends for verdict in verdicts),
        any(min(holm(stage.tolist())) < CLEAR for stage in p if np.isfinite(stage).all()),
        bool((frame[[f"{metric}{CORRECTED}" for metric in TESTED]] < CLEAR).any(axis=None)),
    )


def rates() -> tuple[Mapping[str, Array], int]:
    """Return the share of pairs with each alarm in percent, ``[groups]``, and the number of intervals of a pair."""
    groups = []
    for group in range(GROUPS):
        pairs = [alarms_of(*pair) for pair in itertools.combinations(weight_sets(group), 2)]
        groups.append(
            {
                "each": 100 * np.mean([pair.intervals for pair in pairs]),
                "any": 100 * np.mean([any(pair.intervals) for pair in pairs]),
            }
            | {
                name: 100 * np.mean([getattr(pair, name) for pair in pairs])
                for name in ("main", "finding", "depends", "by_stage", "whole")
            }
        )
    return {name: np.array([shares[name] for shares in groups]) for name in groups[0]}, len(
        pairs[0].intervals
    )


def correlation_over_seeds() -> dict[str, tuple[float, float, float]]:
    """Return r of a quantity of two networks over common seeds, and the spreads of the paired and unpaired difference.

    The quantities are those of the whole network: D_m at the number of signals of the smaller one.
    """
    recordings = []
    for name in PAIRED:
        first, *others = (recorded(name, seed, seed) for seed in range(REPLICATES))
        recordings.append(first.merge(*others))
    sizes = common_sizes(recordings)
    a, b = (seed_metrics(recording, sizes).xs(WHOLE, level="stage") for recording in recordings)
    return {metric: _spreads(a[metric], b[metric]) for metric in COUNTERPARTS}


def _spreads(a: pd.Series[float], b: pd.Series[float]) -> tuple[float, float, float]:
    together = float(np.sqrt(a.var() + b.var()))
    return float(np.corrcoef(a, b)[0, 1]), float((b - a).std()), together


def false_correlations(removed: int) -> float:
    """Return how many percent of the within-seed intervals of unrelated numbers with seed effects leave out 0.

    Args:
        removed: means that the standard error takes into account.
    """
    draw = np.random.default_rng(0)
    alarms = 0
    for _ in range(TABLES):
        x, y = (
            2 * draw.normal(size=(LEARNED, 1)) + draw.normal(size=(LEARNED, STRATEGIES)) for _ in range(2)
        )
        x, y = (values - values.mean(axis=1, keepdims=True) for values in (x, y))
        result = association(x.ravel(), y.ravel(), removed=removed)
        alarms += result.low > 0 or result.high < 0
    return 100 * alarms / TABLES


def alarm_rows(shares: Mapping[str, Array], intervals: int) -> list[Row]:
    """Return the rows of the page on pairs of sets of weights.

    Args:
        shares: from ``rates``.
        intervals: of one pair.
    """
    mean = {name: float(share.mean()) for name, share in shares.items()}
    text = {
        name: f"{share.mean():.1f} % ({share.min():.1f} to {share.max():.1f} % by group)"
        for name, share in shares.items()
    }
    return [
        row("each interval of a difference leaves out 0", "5 %", text["each"], abs(mean["each"] - 5) < 2),
        row(f"at least one of the {intervals} intervals of a table leaves out 0, without a correction",
            "more than 5 %", text["any"], mean["any"] > 5),
        row("at least one of the intervals of a D_m leaves out 0, without a correction", "more than 5 %",
            text["main"], mean["main"] > 5),
        row("Holm within each stage: some p below 0.05", "more than 5 %", text["by_stage"], mean["by_stage"] > 5),
        row("Holm over the whole table, as reported: some p below 0.05", "at most 5 %", text["whole"],
            mean["whole"] <= 5),
        row("the finding names a difference (D_m and mean similarity agree, after Holm)", "below 5 %",
            text["finding"], mean["finding"] < 5),
        row("the finding says that the answer depends on how layers are counted", "below 5 %", text["depends"],
            mean["depends"] < 5),
    ]  # fmt: skip


def learning_rows() -> list[Row]:
    """Return the rows of the page on the correlation within seeds."""
    removed = LEARNED - 1
    corrected, uncorrected = false_correlations(removed), false_correlations(0)
    what = (
        f"table learning, {STRATEGIES} strategies, {LEARNED} seeds with effects, no association: "
        "the within-seed interval leaves out 0"
    )
    return [
        row(what, "5 %", f"{corrected:.1f} %", abs(corrected - 5) < 1),
        row("the same, if the standard error forgets the seed means", "more than 5 %", f"{uncorrected:.1f} %",
            uncorrected > 5),
    ]  # fmt: skip


def pairing_rows() -> list[Row]:
    """Return the rows of the page on what pairing by seed does to the spread of a difference."""
    return [
        row(f"{PAIRED[0]} and {PAIRED[1]}, {REPLICATES} seeds, {metric.replace('_', ' ')}: spread of the difference, "
            "paired / unpaired", f"{math.sqrt(1 - r):.2f}, √(1 − r) at r = {r:.2f}", f"{paired / unpaired:.2f}",
            abs(paired / unpaired - math.sqrt(1 - r)) < 0.05)
        for metric, (r, paired, unpaired) in correlation_over_seeds().items()
    ]  # fmt: skip


def alarms() -> list[Row]:
    """8. False alarms of ``compare`` between two sets of weights of one architecture, and of the table learning."""
    return [*alarm_rows(*rates()), *learning_rows(), *pairing_rows()]
