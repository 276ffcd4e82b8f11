"""The table ``learning``: its intervals hold for runs that share the effect of their seed."""

import numpy as np
import pandas as pd
import pytest

from gradlens.analyzers.signals import WHOLE
from gradlens.comparisons.training import WITHIN, learning
from gradlens.comparisons.variants import MEASURED

SEEDS, NETWORKS = 5, ("none", "csp")
INDEX = pd.MultiIndex.from_product([[WHOLE], range(SEEDS)], names=["stage", "seed"])


def unrelated(draw, metrics=MEASURED):
    """Return unrelated metrics of two networks that share strong effects of the seed."""
    common = 3 * draw.normal(size=(SEEDS, len(metrics)))
    return {
        name: pd.DataFrame(common + draw.normal(size=common.shape), index=INDEX, columns=list(metrics))
        for name in NETWORKS
    }


def within(table, kind):
    frame = table.frame
    return frame[(frame.over == WITHIN) & (frame.coefficient == kind)]


@pytest.mark.parametrize(
    ("kind", "least"), [("pearson", 0.02), ("spearman", 0.005)]
)  # 4.9 % and 2.5 % of 2,000
def test_the_interval_within_a_seed_rarely_leaves_out_zero_without_an_association(kind, least):
    draw = np.random.default_rng(11)
    rows = pd.concat([within(learning(unrelated(draw)), kind) for _ in range(60)])
    alarms = (rows.low > 0) | (rows.high < 0)
    assert len(rows) >= 300
    assert least < alarms.mean() < 0.09


def test_the_interval_within_a_seed_has_the_standard_error_without_the_seed_means():
    rows = within(learning(unrelated(np.random.default_rng(3))), "pearson")
    runs = SEEDS * len(NETWORKS)
    width = np.arctanh(rows.high) - np.arctanh(rows.low)
    assert width.to_numpy() == pytest.approx(2 * 1.959964 / np.sqrt(runs - (SEEDS - 1) - 3), rel=1e-6)


def test_an_association_within_seeds_is_seen_despite_the_effects_of_seeds():
    frames = unrelated(np.random.default_rng(5))
    effects = 10 * np.random.default_rng(6).normal(size=SEEDS)
    for frame in frames.values():
        frame["accuracy"] = frame["rarefied_duplication"] + effects
    table = learning(frames)
    row = within(table, "pearson").set_index("metric").loc["rarefied_duplication"]
    assert row.value == pytest.approx(1)
    assert row.low > 0.9
