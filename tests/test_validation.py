"""The validation page matches the measurements, and each disagreement has a reason."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks import validation, validation_null
from gradlens.metrics import holm

ROOT = Path(__file__).parent.parent
QUICK = ("independence", "dense", "agreement", "weights", "costs")


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_published_results_are_reproduced(name: str) -> None:
    _, measure = validation.SECTIONS[name]
    rows = measure()
    assert rows
    assert [row["what"] for row in rows if not row["agrees"]] == []


@pytest.mark.slow
def test_paths_and_shattering_match_the_page() -> None:
    published = json.loads((ROOT / "docs" / "validation.json").read_text(encoding="utf-8"))["sections"]
    for name in ("veit", "balduzzi"):
        rows = validation.SECTIONS[name][1]()
        assert [(row["what"], row["agrees"]) for row in rows] == [
            (row["what"], row["agrees"]) for row in published[name]["rows"]
        ]


def test_the_page_matches_the_numbers_and_each_disagreement_has_a_reason() -> None:
    document = json.loads((ROOT / "docs" / "validation.json").read_text(encoding="utf-8"))
    assert list(document["sections"]) == list(validation.SECTIONS)
    assert validation.page(document) == (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    for section in document["sections"].values():
        for row in section["rows"]:
            assert row["agrees"] or row["remark"].startswith("differs because ")


@pytest.mark.slow
def test_unrelated_numbers_correlate_as_often_as_the_page_says() -> None:
    published = json.loads((ROOT / "docs" / "validation.json").read_text(encoding="utf-8"))["sections"][
        "alarms"
    ]
    for row in validation_null.learning_rows():
        assert row in published["rows"]


@pytest.mark.parametrize(("hypotheses", "seeds"), [(15, 3), (30, 3), (30, 5), (90, 10)])
def test_the_smallest_p_of_a_table_holds_above_the_least_t_only(hypotheses: int, seeds: int) -> None:
    draw = np.random.default_rng(seeds).normal(size=seeds)
    standard = (draw - draw.mean()) / draw.std(ddof=1)
    for factor, holds in ((0.99, False), (1.01, True)):
        t = factor * validation_null.least_t(hypotheses, seeds)
        values = standard + t / math.sqrt(seeds)  # the t of a mean against 0 is t
        p = float(stats.ttest_1samp(values, 0).pvalue)
        assert (holm([p] + [1.0] * (hypotheses - 1))[0] < 0.05) is holds
