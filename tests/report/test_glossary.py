"""The glossary of the page repeats docs/notation.md word by word."""

import html
import re
from importlib.resources import files
from pathlib import Path

NOTATION = Path(__file__).parents[2] / "docs" / "notation.md"


def definitions():
    """Return the definitions of docs/notation.md by term, as plain text."""
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", NOTATION.read_text("utf-8"), flags=re.M)
    return {re.sub(r" \(.*\)$", "", term): re.sub(r"[`*]", "", text) for term, text in rows}


def test_the_definitions_of_the_page_equal_those_of_the_documentation():
    page = files("gradlens.report").joinpath("glossary.html").read_text("utf-8")
    entries = re.findall(r"<dt>(.+?)</dt>\s*<dd>(.+?)</dd>", page)
    glossary = {term: html.unescape(re.sub(r"</?\w+>", "", text)) for term, text in entries}
    expected = {term.lower() if term != "CKA" else term: term for term in glossary}
    assert {term: glossary[title] for term, title in expected.items()} == {
        term: definitions()[term] for term in expected
    }
    assert len(glossary) > 15
