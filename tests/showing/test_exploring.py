"""Turning over tables: by widgets where they are, by opening where not."""

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


def test_choosing_a_table_shows_it(result: Result) -> None:
    explorer = Explorer(result.tables)
    assert "<img " in explorer.page.value
    explorer.table.value = "plain"
    assert "<img " not in explorer.page.value
    assert "111" in explorer.page.value
    assert "222" in explorer.page.value


def test_choosing_rows_shows_only_them_and_draws_anew(result: Result) -> None:
    explorer = Explorer(result.tables)
    before = explorer.page.value
    explorer.choices["network"].value = "b"
    assert explorer.page.value != before
    assert ">a<" not in explorer.page.value
    explorer.table.value = "plain"
    assert "222" in explorer.page.value
    assert "111" not in explorer.page.value, "a choice is kept where the next table has it too"
    explorer.choices["network"].value = ALL
    assert "111" in explorer.page.value


def test_only_choices_that_a_table_has_are_offered(result: Result) -> None:
    explorer = Explorer(result.tables)
    assert [name for name, one in explorer.choices.items() if one.layout.display is None] == [
        "network",
        "stage",
    ]
    explorer.choices["stage"].value = "4"
    explorer.table.value = "plain"
    assert [name for name, one in explorer.choices.items() if one.layout.display is None] == [
        "network",
        "version",
    ]
    assert explorer.choices["stage"].value == ALL


def test_a_result_gives_a_widget_where_there_are_widgets(result: Result) -> None:
    import ipywidgets

    assert isinstance(result.explore(), ipywidgets.VBox)
    assert isinstance(result["cost"].explore(), ipywidgets.VBox)


def test_without_ipywidgets_the_static_form_is_shown(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr(exploring, "find_spec", lambda name: None)
    shown = result.explore()
    assert isinstance(shown, Album)
    page = shown._repr_html_()
    assert page.count("<img ") == 1
    assert page.index("<code>cost</code>") < page.index("<code>plain</code>")
    assert "111" in page
    assert repr(shown).startswith("cost: A row a thing.")


def test_a_table_that_cannot_be_drawn_still_shows_its_numbers(table: Any) -> None:
    shown = table(name="cost", strange=["<b>", "kept"]).explore(static=True)._repr_html_()
    assert "no figure: KeyError" in shown
    assert "&lt;b&gt;" in shown
    assert "kept" in shown


def test_one_may_ask_for_some_tables_and_for_the_static_form(result: Result) -> None:
    album = result.explore(["plain"], static=True)
    assert list(album.tables) == ["plain"]
    with pytest.raises(
        GradlensError, match=r"no table 'plane' to explore; there are cost, plain; did you mean"
    ):
        result.explore(["plane"])


def test_rows_are_chosen_by_what_stands_there() -> None:
    table = Table("t", pd.DataFrame({"stage": [4, 8, 8], "x": [1, 2, 3]}), "")
    assert rows_of(table, {"stage": "8"}).frame["x"].tolist() == [2, 3]
    assert rows_of(table, {"network": "a"}).frame["x"].tolist() == [1, 2, 3]
