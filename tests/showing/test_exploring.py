"""Browsing tables: with widgets if there are any, else as a static list."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd
import pytest

from gradlens.errors import GradlensError
from gradlens.results import Result, Table
from gradlens.showing import exploring
from gradlens.showing.exploring import ALL, Album, Explorer, rows_of


@pytest.fixture
def result(table: Any) -> Result:
    cost = table(
        name="cost",
        network=["a", "a", "b", "b"],
        stage=["4", "whole"] * 2,
        flops=[1.0, 2.0, 3.0, 4.0],
        parameters=[1.0] * 4,
        traffic_elements=[1.0] * 4,
        saved_bytes=[1.0] * 4,
    )
    plain = table(name="plain", network=["a", "b"], version=["energy", "direction"], value=[111, 222])
    return Result({"cost": cost, "plain": plain}, {}, "Found.")


def test_a_selected_table_is_shown(result: Result) -> None:
    explorer = Explorer(result.tables)
    assert "<img " in explorer.page.value
    explorer.table.value = "plain"
    assert "<img " not in explorer.page.value
    assert "111" in explorer.page.value
    assert "222" in explorer.page.value


def test_only_selected_rows_are_shown_and_drawn(result: Result) -> None:
    explorer = Explorer(result.tables)
    before = explorer.page.value
    explorer.choices["network"].value = "b"
    assert explorer.page.value != before
    assert ">a<" not in explorer.page.value
    explorer.table.value = "plain"
    assert "222" in explorer.page.value
    assert "111" not in explorer.page.value, "a choice is kept if the next table has it as well"
    explorer.choices["network"].value = ALL
    assert "111" in explorer.page.value


def test_only_the_choices_of_a_table_are_offered(result: Result) -> None:
    explorer = Explorer(result.tables)
    assert [name for name, choice in explorer.choices.items() if choice.layout.display is None] == [
        "network",
        "stage",
    ]
    explorer.choices["stage"].value = "4"
    explorer.table.value = "plain"
    assert [name for name, choice in explorer.choices.items() if choice.layout.display is None] == [
        "network",
        "version",
    ]
    assert explorer.choices["stage"].value == ALL


def test_explore_returns_a_widget_if_ipywidgets_is_installed(result: Result) -> None:
    import ipywidgets

    assert isinstance(result.explore(), ipywidgets.VBox)
    assert isinstance(result["cost"].explore(), ipywidgets.VBox)


def test_without_ipywidgets_the_static_form_is_shown(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr(exploring, "find_spec", lambda name: None)
    album = result.explore()
    assert isinstance(album, Album)
    page = album._repr_html_()
    assert page.count("<img ") == 1
    assert page.index("<code>cost</code>") < page.index("<code>plain</code>")
    assert "111" in page
    assert repr(album).startswith("cost: One row per thing.")


def test_a_table_that_cannot_be_drawn_shows_its_numbers(table: Any) -> None:
    page = table(name="cost", strange=["<b>", "kept"]).explore(static=True)._repr_html_()
    assert "no figure: KeyError" in page
    assert "&lt;b&gt;" in page
    assert "kept" in page


def test_tables_and_the_static_form_can_be_requested(result: Result) -> None:
    album = result.explore(["plain"], static=True)
    assert list(album.tables) == ["plain"]
    with pytest.raises(
        GradlensError, match=r"no table 'plane' to explore; use one of cost, plain; did you mean"
    ):
        result.explore(["plane"])


def test_rows_are_selected_by_their_values() -> None:
    table = Table("t", pd.DataFrame({"stage": [4, 8, 8], "x": [1, 2, 3]}), "")
    assert rows_of(table, {"stage": "8"}).frame["x"].tolist() == [2, 3]
    assert rows_of(table, {"network": "a"}).frame["x"].tolist() == [1, 2, 3]
