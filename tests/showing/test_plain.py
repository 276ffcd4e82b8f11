"""Text for terminals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradlens.showing.plain import ROWS, facts_text, result_text, table_text


def test_a_table_has_caption_header_aligned_rows_and_units(table: Any) -> None:
    text = table_text(table(site=["conv1", "fc"], rms=[0.25, np.nan], units={"rms": "decades"}))
    assert text == (
        "things: One row per thing.\nsite     rms\nconv1  0.250\nfc         –\nunits: rms: decades"
    )


def test_rows_that_are_not_shown_are_counted(table: Any) -> None:
    assert "more rows" not in table_text(table(x=range(ROWS)))
    lines = table_text(table(x=range(ROWS + 7))).splitlines()
    assert lines[-1] == "7 more rows"
    assert len(lines) == 1 + 1 + ROWS + 1


@pytest.mark.parametrize("width", [20, 40, 60, 100, 200])
def test_columns_that_do_not_fit_are_listed(table: Any, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    names = [f"column_{number}" for number in range(12)]
    text = table_text(table(**{name: [0.5] for name in names}))
    assert all(name in text for name in names)
    assert all(len(line) <= width for line in text.splitlines())


def test_an_empty_table_has_a_note(table: Any) -> None:
    assert table_text(table(x=[])).endswith("(no rows)")


def test_a_result_starts_with_the_finding(table: Any) -> None:
    text = result_text("It is so.", ["Beware."], {"things": table(x=[1, 2])})
    assert text.splitlines() == ["Result: It is so.", "warning: Beware.", "tables (rows): things (2)"]
    assert result_text("Nothing.", [], {}).endswith("tables (rows): none")


def test_facts_are_aligned() -> None:
    assert facts_text("Recording", {"a": "1", "long": "2"}, ["cut"]) == (
        "Recording\n  a     1\n  long  2\n  note: cut"
    )
