"""The note about few seeds agrees with the t distribution."""

import math

import pandas as pd
import pytest
from scipy import stats

from gradlens.metrics import holm
from gradlens.words.power import had_too_few_seeds, is_about_power, needed_t, too_few_seeds


@pytest.mark.parametrize("seeds", [2, 3, 4, 5])
@pytest.mark.parametrize("comparisons", [1, 30, 240])
def test_the_least_t_just_passes_the_correction(seeds, comparisons):
    least = needed_t(seeds, comparisons)
    for factor, passes in ((1.001, True), (0.999, False)):
        p = 2 * stats.t.sf(factor * least, seeds - 1)
        assert (holm([p, *[1.0] * (comparisons - 1)])[0] < 0.05) is passes
    if seeds == 2:  # a Cauchy distribution
        assert least == pytest.approx(1 / math.tan(math.pi * 0.05 / comparisons / 2))


def test_two_seeds_are_always_too_few_and_five_never():
    assert too_few_seeds(2, 1) == (
        "with 2 seeds hardly any difference can hold after the correction for about 30 comparisons "
        "(|t| > 382 is needed); use seeds=5"
    )
    assert all(too_few_seeds(2, pairs) for pairs in (1, 3, 15))
    assert not any(too_few_seeds(seeds, 10**6) for seeds in (1, 5, 12))


def test_three_seeds_are_too_few_if_t_must_exceed_20():
    assert "for about 30 comparisons (|t| > 24 is needed);" in too_few_seeds(3, 1)
    assert too_few_seeds(4, 1) == ""
    assert too_few_seeds(4, 6).startswith("with 4 seeds")


@pytest.mark.parametrize("seeds", [2, 3, 4, 5])
def test_a_finished_run_counts_its_p_values(seeds):
    long = pd.DataFrame({"p": [0.5] * 40, "p_holm": [0.5] * 12 + [math.nan] * 28})
    wide = pd.DataFrame({"cka_p_holm": [1, 1, 1, math.nan], "m_p_holm": [1, 1, 1, 1], "low": [0.0] * 4})
    for frame, comparisons in ((long, 12), (wide, 7)):
        least = needed_t(seeds, comparisons)
        text = had_too_few_seeds(seeds, frame)
        assert is_about_power(text) is bool(text) is (seeds == 2)  # 3 seeds need |t| of 15.3 and 11.6
        assert not text or f"for {comparisons} comparisons (|t| > {least:.0f} is needed);" in text
    assert had_too_few_seeds(2, wide.iloc[:0]) == ""


def test_a_study_without_comparisons_has_no_note():
    assert too_few_seeds(2, 0) == ""
