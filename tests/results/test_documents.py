"""Format versions of results: which are read, which are refused, and how old documents are upgraded."""

from __future__ import annotations

import pytest

from gradlens.errors import GradlensError
from gradlens.results import documents


@pytest.fixture
def third(monkeypatch):
    """A gradlens that writes format 3 and can upgrade format 2."""
    monkeypatch.setattr(documents, "FORMAT", 3)
    monkeypatch.setattr(documents, "UPGRADES", {2: lambda old: {**old, "finding": old["answer"]}})


def test_a_document_of_the_current_format_is_unchanged():
    document = {"format": documents.FORMAT, "finding": "x"}
    assert documents.upgraded(document) is document


def test_an_older_document_is_upgraded(third):
    document = documents.upgraded({"format": 2, "answer": "less"})
    assert (document["format"], document["finding"]) == (3, "less")


def test_upgrades_follow_each_other(third, monkeypatch):
    monkeypatch.setitem(documents.UPGRADES, 1, lambda old: {"answer": old["text"]})
    assert documents.upgraded({"format": 1, "text": "less"})["finding"] == "less"


@pytest.mark.parametrize(
    ("version", "message"),
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
def test_the_error_for_another_version_states_what_to_do(version, message, third):
    with pytest.raises(GradlensError, match=message):
        documents.upgraded({"format": version})


def test_a_list_is_not_a_document():
    with pytest.raises(GradlensError, match="no format version"):
        documents.require_readable([1])
