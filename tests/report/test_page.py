"""The page: its order, no external files, and names that contain HTML."""

import base64
import pickle
import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from gradlens.report.drawing import encoded, figures
from gradlens.report.page import page
from gradlens.results import Result, Table

HOSTILE = "<script>alert(1)</script>"
SVG = b'<svg width="518.4pt" height="300pt"></svg>'
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Outline(HTMLParser):
    """Parser of the tags, attributes and text of a page; tags must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and "script" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self):
        return re.sub(r"[ \n]+", " ", " ".join(self.words))


DRAWN = {}
"""Figures by the bytes of the tables that they show, which are the same in most tests."""


def render(result):
    tables = pickle.dumps(result.tables)
    if tables not in DRAWN:
        DRAWN[tables] = {name: encoded(figure, "svg") for name, figure in figures(result).items()}
    return page(result, DRAWN[tables])


@pytest.mark.parametrize(
    ("finding", "heading", "lead"),
    [
        ("resnet50 is less (0.5).", "resnet50 is less (0.5).", ""),
        ("resnet50 is less (0.5). Few samples.", "resnet50 is less (0.5).", "Few samples."),
        (
            "resnet50 is less (0.5). Given the loss, more (0.6). Few.",
            "resnet50 is less (0.5).",
            "Given the loss, more (0.6). Few.",
        ),
    ],
)
def test_the_first_sentence_of_the_finding_is_the_heading(finding, heading, lead, make_result):
    text = render(replace(make_result(), finding=finding))
    assert re.search("<h1 class=.short.>(.*)</h1>", text)[1] == heading
    assert ('<p class="lead">' in text) == bool(lead)
    assert not lead or f'<p class="lead">{lead}</p>' in text


def test_the_page_starts_with_the_finding_and_the_warnings(make_result):
    outline = Outline(render(make_result()))
    headings = [tag for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    text = outline.text
    positions = [
        text.index(words)
        for words in (
            "cspresnet50 duplicates less than resnet50.",
            "Two signals are dead.",
            "Overview whole network",
            "What not to conclude",
            "Table: 96 rows",
            "Provenance Versions",
            "kind compare",
            "Glossary Weighted layer",
        )
    ]
    assert positions == sorted(positions)


def test_the_page_loads_no_external_files(make_result):
    text = render(make_result())
    outline = Outline(text)
    assert not outline.all("link")
    assert not any("src" in attrs for attrs in outline.all("script"))
    markup = re.sub(
        r"<script.*?</script>", "", text, flags=re.S
    )  # test_browser.py checks what the scripts load
    assert "//" not in re.sub(r"data:image/svg\+xml;base64,[\w+/=]+", "", markup)
    assert "@import" not in markup
    assert "url(" not in markup
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in outline.all("img"))


def test_a_name_that_contains_html_is_displayed_as_text(make_result):
    text = render(make_result(a=HOSTILE, b="\" onload='x", note=HOSTILE, **{HOSTILE: 1}))
    assert "<script>alert" not in text.lower()
    assert text.lower().count("<script") == text.lower().count("</script") == len(Outline(text).all("script"))
    outline = Outline(text)
    assert HOSTILE in outline.text
    assert not any(name.startswith("on") for _, attrs in outline.tags for name in attrs)


def test_the_page_is_accessible(make_result):
    outline = Outline(render(make_result()))
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("img")) == 2
    assert all(len(image["alt"]) > 40 for image in outline.all("img"))
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [link["href"] for link in outline.all("a")]
    assert {target[1:] for target in targets if target.startswith("#")} == set(ids) - {"theme"}


def test_long_tables_are_truncated_with_a_note(make_result):
    text = render(make_result())
    assert "The first 30 are shown. All rows are in" in Outline(text).text
    flow = text[text.index('id="flow"') : text.index('id="exactness"')]
    assert flow.count("<tr>") == 31


def test_differences_and_intervals_are_readable(make_result):
    outline = Outline(render(make_result()))
    assert "−0.300 [−0.350 to −0.250]" in outline.text
    assert "−100\N{NARROW NO-BREAK SPACE}M (−14 %)" in outline.text
    assert [attrs for attrs in outline.all("tr") if attrs.get("class") == "clear"] != []


@pytest.mark.parametrize(("mark", "marked"), [(False, False), (True, True), ("2 of 3 seeds", True)])
def test_a_partial_result_is_marked(mark, marked, make_result):
    text = Outline(render(make_result(partial=mark))).text
    assert ("Partial result" in text) is marked
    if isinstance(mark, str):
        assert mark in text


def test_an_inspection_has_one_column_and_no_difference(make_result):
    outline = Outline(render(make_result(kind="inspect")))
    assert "Dead signals 32" in outline.text
    assert "difference" not in outline.text.lower().split("provenance")[0]


def test_provenance_shows_exact_values(make_result):
    text = Outline(render(make_result(data={"rate": 0.123456789}, none=None))).text
    assert "gradlens compare 'my net'" in text
    assert "0.123456789" in text
    assert "torch 2.14" in text


def test_a_result_with_an_empty_table_has_a_page():
    result = Result({"flow": Table("flow", pd.DataFrame(), "One row per signal.")}, {}, "Nothing found.")
    assert "The table is empty." in Outline(render(result)).text


def test_options_in_warnings_are_code_and_the_rest_is_text():
    warning = f"{HOSTILE}: use --warmup-steps 10 or --no-zero-init"
    text = page(Result({}, {}, "Found.", (warning,)), {})
    assert (
        '<code class="option">--warmup-steps 10</code> or <code class="option">--no-zero-init</code>' in text
    )
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: use" in text


def test_the_figure_of_the_finding_is_at_the_top_only(make_result):
    text = page(make_result(), {"duplication": SVG, "flow": SVG})
    assert text.count('data-figure="duplication"') == 1
    assert text.index('data-figure="duplication"') < text.index("<h2")
    assert "The figure is" in text[text.index('id="duplication"') :].split("</section>")[0]


def test_each_figure_has_its_command(make_result):
    text = Outline(page(make_result(), {"duplication": SVG, "flow": SVG})).text
    assert "gradlens figure RUN duplication" in text
    assert "gradlens figure RUN flow" in text


def test_still_figures_are_embedded_without_what_no_screen_shows(make_result):
    """Their numbers below 1 scale letters and keep all digits."""
    drawn = encoded(figures(make_result())["flow"], "svg")
    text = render(make_result())
    section = text[text.index('id="flow"') :].split("</section>")[0]
    embedded = base64.b64decode(re.search(r"base64,([^\"]+)", section)[1]).decode()
    assert len(embedded) < 0.9 * len(drawn)
    assert embedded.count("<use") == drawn.decode().count("<use")
    assert set(re.findall(r"scale\([^)]*\)", embedded)) == set(re.findall(r"scale\([^)]*\)", drawn.decode()))
    assert "<!--" not in embedded
