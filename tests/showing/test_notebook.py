"""HTML for notebooks: complete, escaped, without scripts, for light and dark themes."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gradlens.results import Result, Table
from gradlens.showing.notebook import GLANCE, ROWS, STYLE, facts_html, result_html, table_html

EVIL = "<script>alert(1)</script>"
VOID = {"br", "img"}


class Page(HTMLParser):
    """Parser of tags, which must be closed in order, and of the texts between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_table_has_caption_units_rounded_numbers_and_dashes(table: Any) -> None:
    page = Page(table_html(table(rms=[0.123456789, np.nan], units={"rms": "decades"})))
    for text in ("things", "rms", "decades", "0.123", "–", "Counted."):
        assert text in page.texts
    assert page.tags.count("tr") == 3


def test_long_tables_are_truncated_with_a_note(table: Any) -> None:
    page = Page(table_html(table(x=range(ROWS + 12))))
    assert page.tags.count("tr") == 1 + ROWS
    assert "12 more rows" in page.texts
    assert "more rows" not in table_html(table(x=range(ROWS)))


def test_a_result_shows_finding_warnings_main_numbers_and_all_tables(table: Any) -> None:
    summary = table(
        name="summary",
        rarefied_duplication=[0.5],
        rarefied_duplication_low=[0.4],
        rarefied_duplication_high=[0.6],
    )
    page = Page(result_html("It is so.", ["Beware."], {"summary": summary, "long": table(x=range(100))}))
    order = [page.texts.index(text) for text in ("It is so.", "Beware.", "0.500 [0.400, 0.600]", "long")]
    assert order == sorted(order)
    assert page.tags.count("details") == 2
    assert f"{100 - GLANCE} more rows" in page.texts
    assert any("gradlens.report.write" in text for text in page.texts)


def test_names_are_escaped_everywhere() -> None:
    table = Table(EVIL, pd.DataFrame({EVIL: [EVIL], "x": [0.1]}), EVIL, EVIL, {EVIL: EVIL})
    result = Result({EVIL: table}, {}, EVIL, (EVIL,))
    for page in (
        table._repr_html_(),
        result._repr_html_(),
        result.explore(static=True)._repr_html_(),
        facts_html(EVIL, {EVIL: EVIL}, [EVIL]),
    ):
        assert "script" not in Page(page).tags
        assert EVIL in Page(page).texts


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame({"x": []}),
        pd.DataFrame({"x": [np.nan] * 3, "y": [None] * 3}),
        pd.DataFrame([[1, 2]], columns=["x", "x"]),
        pd.DataFrame({1: [1], ("a", "b"): [2]}),
        pd.DataFrame({"x": pd.array([1, None], dtype="Int64"), "y": pd.Categorical(["a", None])}),
        pd.DataFrame({"x": [np.inf, -np.inf]}),
        pd.DataFrame({"x": [[1, 2], np.zeros(3)]}),
        pd.DataFrame({"rarefied_duplication_a": [1.0], "rarefied_duplication_difference": [1.0]}),
    ],
    ids=[
        "nothing",
        "no rows",
        "all missing",
        "one name",
        "odd names",
        "odd kinds",
        "infinite",
        "lists",
        "half",
    ],
)
def test_odd_frames_have_html_and_text_forms(frame: pd.DataFrame) -> None:
    table = Table("odd", frame, "Odd.")
    for value in (
        table,
        Result({"odd": table}, {}, "Odd."),
        Result({"odd": table}, {}, "").explore(static=True),
    ):
        assert Page(value._repr_html_()).tags
        assert repr(value)


def test_a_result_without_tables_shows_its_finding() -> None:
    assert "nothing & all" in Page(Result({}, {}, "nothing & all")._repr_html_()).texts
    assert "no tables" in Page(Result({}, {}, "").explore()._repr_html_()).texts


def test_the_style_sets_no_colours() -> None:
    rules = STYLE.replace("rgba(128,128,128,.3)", "")
    assert "color:" not in rules
    assert "background" not in rules
    assert "#" not in rules
