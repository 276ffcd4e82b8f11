"""Format versions: what is read, what is refused, and how an old document becomes a new one."""

from __future__ import annotations

import pytest

from gradlens.errors import GradlensError
from gradlens.results import documents


@pytest.fixture
def third(monkeypatch):
    """A gradlens that writes format 3 and still knows what 2 was."""
    monkeypatch.setattr(documents, "FORMAT", 3)
    monkeypatch.setattr(documents, "UPGRADES", {2: lambda old: {**old, "finding": old["answer"]}})


def test_todays_document_is_left_as_it_is():
    document = {"format": documents.FORMAT, "finding": "x"}
    assert documents.upgraded(document) is document


def test_an_older_document_is_brought_up_to_date(third):
    found = documents.upgraded({"format": 2, "answer": "less"})
    assert (found["format"], found["finding"]) == (3, "less")


def test_upgrades_follow_each_other(third, monkeypatch):
    monkeypatch.setitem(documents.UPGRADES, 1, lambda old: {"answer": old["text"]})
    assert documents.upgraded({"format": 1, "text": "less"})["finding"] == "less"


@pytest.mark.parametrize(
    ("version", "told"),
    [
        (4, "format 4, this gradlens reads up to 3; update gradlens"),
        (
            1,
            "format 1, this gradlens reads 2 to 3; open it with the gradlens that wrote it, or run the command again",
        ),
        (0, "reads 2 to 3"),
        (None, "has no format version"),
        ("3", "has no format version"),
        (True, "has no format version"),
    ],
)
def test_other_versions_are_refused_saying_what_to_do(version, told, third):
    with pytest.raises(GradlensError, match=told):
        documents.upgraded({"format": version})


def test_what_is_no_document_has_no_version():
    with pytest.raises(GradlensError, match="no format version"):
        documents.require_readable([1])
