"""The quantities of a watched training: unique, described in the documentation, and no second list."""

from __future__ import annotations

import re
from pathlib import Path

from gradlens.catalogue.watched import AXES, WATCHED
from gradlens.watching.stages import _SUMMARIES

PAGE = (Path(__file__).parents[2] / "docs" / "watching.md").read_text("utf-8")


def test_names_and_titles_are_unique_and_no_axis_is_a_quantity() -> None:
    names = [entry.name for entry in WATCHED]
    titles = [entry.title for entry in WATCHED if entry.title]
    assert len({*names, *AXES}) == len(names) + len(AXES)
    assert len(set(titles)) == len(titles)
    assert all(entry.meaning and entry.unit and entry.place for entry in WATCHED)


def test_every_summary_can_be_computed_and_a_number_of_a_stage_has_none() -> None:
    assert {entry.summary for entry in WATCHED} - {""} == set(_SUMMARIES)
    assert not any(entry.summary for entry in WATCHED if entry.place in ("stage", "network"))


def test_the_page_has_each_quantity_and_each_summary() -> None:
    (rows,) = re.findall(r"^\| quantity \| place .*?\n\n", PAGE, re.S | re.M)
    assert set(re.findall(r"`(\w+)`", rows)) - {"whole"} == {entry.name for entry in WATCHED}
    (stages,) = re.findall(r"^\| `stages_along` .*$", PAGE, re.M)
    assert set(re.findall(r"`(\w+)`", stages)) - {"stages_along"} == {
        entry.name for entry in WATCHED if entry.summary
    }
