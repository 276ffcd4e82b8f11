"""The screen of a measurement: the finding in one sentence, one table, and where to look."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from gradlens.results import Result, Table
from gradlens_cli.brief import brief
from gradlens_cli.diagnosis import site_lines
from gradlens_cli.layout import plain
from gradlens_cli.screen import show

NAN = math.nan
MAIN = "rarefied_duplication"
FINDING = "b has less gradient duplication than a. In numbers: 0.11 less (D_9 0.68 against 0.79)."


def pair_row(
    stage: str, *, similarity: tuple[float, ...] | None = None, missing: bool = False
) -> dict[str, Any]:
    """Return a row of the table ``comparison`` in which b has less, by both numbers unless ``similarity`` differs."""
    numbers = (0.79, 0.68, -0.11, -0.15, -0.07, 0.01)
    row: dict[str, Any] = {"stage": stage, "m": NAN if missing else 9, "m_given_loss": 8}
    for metric in (MAIN, "mean_similarity", f"{MAIN}_given_loss", "mean_similarity_given_loss", "flow_slope"):
        values = similarity if similarity and metric.startswith("mean") else numbers
        for part, value in zip(("a", "b", "difference", "low", "high", "p_holm"), values, strict=True):
            row[f"{metric}_{part}"] = NAN if missing else value
    return row | {
        "flops_a": 4.1e9,
        "flops_b": 2.3e9,
        "flops_difference": -1.8e9,
        "flops_low": NAN,
        "flops_high": NAN,
    }


def comparison(*rows: dict[str, Any]) -> Result:
    frame = pd.DataFrame(list(rows))
    return Result({"comparison": Table("comparison", frame, "")}, {"a": "a", "b": "b"}, FINDING)


def printed(result: Result, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    show(result, **options)
    return capsys.readouterr().out


def test_the_finding_comes_first_without_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(comparison(pair_row("whole")), capsys).splitlines()
    assert lines[:2] == ["b has less gradient duplication than a.", ""]
    assert "In numbers" not in "".join(lines)
    everything = printed(comparison(pair_row("whole")), capsys, everything=True)
    assert "In numbers: 0.11 less (D_9 0.68 against 0.79)." in everything
    assert "0.79 | 0.68  -0.11 [-0.15, -0.07]" in everything
    assert "flow slope" in everything


def test_two_networks_are_one_table_in_which_a_star_marks_what_holds_by_both_numbers() -> None:
    apart = pair_row("8", similarity=(0.2, 0.2, 0.0, -0.1, 0.1, 1.0))
    table = brief(comparison(pair_row("4"), apart, pair_row("whole")))
    assert table is not None
    assert plain(table.block).splitlines() == [
        "stage  m  duplication                 similarity                 given loss                  FLOPs",
        "4      9  0.79 | 0.68  -0.11 ± 0.04*  0.79 | 0.68  -0.11 ± 0.04  0.79 | 0.68  -0.11 ± 0.04*  4.1 G | 2.3 G",
        "8      9  0.79 | 0.68  -0.11 ± 0.04   0.20 | 0.20  0.00 ± 0.10   0.79 | 0.68  -0.11 ± 0.04   4.1 G | 2.3 G",
        "whole  9  0.79 | 0.68  -0.11 ± 0.04*  0.79 | 0.68  -0.11 ± 0.04  0.79 | 0.68  -0.11 ± 0.04*  4.1 G | 2.3 G",
    ]
    assert table.legend.startswith("a | b  difference; ")


def test_the_table_has_at_most_six_columns() -> None:
    table = brief(comparison(pair_row("whole")))
    assert table is not None
    assert len(table.block.headers) <= 6
    assert max(map(len, plain(table.block).splitlines())) <= 110


def test_a_stage_without_values_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A head has a cost, but no pair of signals; the whole network is kept for its cost."""
    result = comparison(pair_row("4"), pair_row("head", missing=True), pair_row("whole", missing=True))
    table = brief(result)
    assert table is not None
    assert [row[0] for row in table.block.rows] == ["4", "whole"]
    everything = printed(result, capsys, everything=True)
    heads = [line for line in everything.splitlines() if line.startswith("head")]
    assert heads == ["head   4.1 G | 2.3 G  -1.8 G"]


def test_older_runs_without_mean_similarity_have_no_star(compared: Result) -> None:
    table = brief(compared)
    assert table is not None
    assert "*" not in plain(table.block)


def test_several_networks_are_one_table_with_differences_from_the_first() -> None:
    rows = [
        {
            "network": name,
            "stage": stage,
            MAIN: 0.6 - 0.1 * index,
            f"{MAIN}_low": 0.5,
            f"{MAIN}_high": 0.7,
            "flops": 1e9,
        }
        for index, name in enumerate("abc")
        for stage in ("4", "whole")
    ]
    pairs = [
        {"stage": "whole", "metric": metric, "m": 9, "a": "a", "b": name, "mean_a": 0.6, "mean_b": 0.5}
        | {"difference": -0.1, "low": -0.2, "high": -0.0001, "p_holm": p}
        for name, p in (("b", 0.04), ("c", 0.2))
        for metric in (MAIN, "mean_similarity")
    ]
    frames = {"networks": pd.DataFrame(rows), "contrasts": pd.DataFrame(pairs)}
    table = brief(Result({name: Table(name, frame, "") for name, frame in frames.items()}, {}, ""))
    assert table is not None
    assert plain(table.block).splitlines() == [
        "network  duplication  difference     FLOPs",
        "a        0.60 ± 0.10                 1.0 G",
        "b        0.50 ± 0.10  -0.10 ± 0.10*  1.0 G",
        "c        0.40 ± 0.10  -0.10 ± 0.10   1.0 G",
    ]


def test_effects_stand_below_the_values_of_the_unchanged_network() -> None:
    networks = {"none": 0.6, "csp": 0.4, "csp, transitions only": 0.3}
    parts = {"total": ("none", "csp"), "cut": ("csp, transitions only", "csp")}
    strategies = pd.DataFrame(
        [
            {"network": name, "stage": "whole", MAIN: value, "flops": 1e9 * value}
            for name, value in networks.items()
        ]
    )
    effects = pd.DataFrame(
        [
            {"strategy": "csp", "effect": effect, "stage": "whole", "metric": metric, "a": a, "b": b}
            | {"difference": networks[b] - networks[a], "low": -0.3, "high": 0.1, "p_holm": p}
            for (effect, (a, b)), p in zip(parts.items(), (0.01, 0.5), strict=True)
            for metric in (MAIN, "mean_similarity")  # none given the loss, as of too few signals
        ]
    )
    tables = {"effects": effects, "strategies": strategies, "differences": effects}
    table = brief(Result({name: Table(name, frame, "") for name, frame in tables.items()}, {}, ""))
    assert table is not None
    assert [(row[0], row[1], row[-1]) for row in table.block.rows] == [
        ("none: value", "0.60", "600.0 M"),
        ("csp: total", "-0.20 ± 0.20*", "-200.0 M"),
        ("csp: cut", "+0.10 ± 0.20", "+100.0 M"),
    ]
    assert {row[3] for row in table.block.rows} == {"\N{EN DASH}"}
    assert all(len(row) == len(table.block.headers) for row in table.block.rows)


def test_a_terminal_shows_the_units_and_how_to_see_more(
    compared: Result, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "units:" not in printed(compared, capsys)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    output = " ".join(printed(compared, capsys).split())
    assert "units: duplication, given loss: D_m, 0 unrelated to 1 copies; FLOPs: per image" in output
    assert output.endswith("more numbers: --all")
    assert "structural" not in output


def sites(*networks: str) -> Result:
    """Return a result in which each network has five similar pairs, a dead layer and a pair with the loss signal."""
    kinds = [
        ("duplicated pair", rank, f"conv{rank}", "other", 0.9 - rank / 10, 0.3 + rank / 10)
        for rank in range(5)
    ]
    kinds = [
        ("duplicated pair", 1, "conv0", "fc", 0.99, NAN),
        *kinds,
        ("dead signal", 1, "gone", "", 0.0, NAN),
    ]
    rows = [
        {
            "network": name,
            "kind": kind,
            "rank": rank,
            "stage": "4",
            "place": layer,
            "other": other,
            "value": value,
        }
        | {"given_loss": left, "found": 6 if other else 1}
        for name in networks
        for kind, rank, layer, other, value, left in kinds
    ]
    return Result({"diagnosis": Table("diagnosis", pd.DataFrame(rows), "")}, {}, "")


def test_where_to_look_names_three_places_the_most_urgent_kind_first() -> None:
    assert list(site_lines(sites("net"))) == [
        "where to look:",
        "  [4] conv0 and other: 0.90, similar gradients, mostly because of the loss",
        "  [4] gone: 0, no gradient arrives, so it does not learn",
        "  [4] conv1 and other: 0.80, similar gradients, mostly because of the loss (4 more)",
    ]
    texts = "".join(site_lines(sites("net"), top=5))
    assert "conv2 and other: 0.70, similar gradients, also given the loss" in texts
    assert "fc" not in texts


def test_without_a_loss_signal_pairs_are_not_called_expected() -> None:
    """Then no pair has a value given the loss, which otherwise only pairs with the loss signal lack."""
    result = sites("net")
    result["diagnosis"].frame["given_loss"] = NAN
    lines = list(site_lines(result))
    assert lines[1] == "  [4] conv0 and other: 0.90, similar gradients"
    assert "conv0 and fc: 0.99, similar gradients" in lines[3]


def test_each_of_two_networks_has_three_places_and_each_of_more_has_one() -> None:
    pair, several = (list(site_lines(sites(*names))) for names in ("ab", "abc"))
    assert [line for line in pair if line.startswith("where")] == [
        "where to look in a:",
        "where to look in b:",
    ]
    assert len(pair) == 8
    assert [line[:8] for line in several] == ["where to", "  a [4] ", "  b [4] ", "  c [4] "]
    assert len(list(site_lines(sites("a", "b", "c"), top=2))) == 9


def test_controls_are_no_places_to_look() -> None:
    result = replace(
        sites("none", "csp", "csp, transitions only"), meta={"controls": {"csp": "csp, transitions only"}}
    )
    lines = list(site_lines(result))
    assert not [line for line in lines if "transitions" in line]
    assert len(lines) == 8  # two networks, three places each


def test_paths_name_the_layers_with_the_most_paths_and_the_longest_way() -> None:
    frame = pd.DataFrame(
        {
            "network": "net",
            "stage": ["2", "4"],
            "layer": ["stem", "last"],
            "paths": [f"123{'0' * 400}", "2"],
            "effective_length": [5.26, NAN],
            "reuse": [1, 3],
        }
    )
    lines = list(site_lines(Result({"paths": Table("paths", frame, "")}, {}, "")))
    assert lines == [
        "where to look:",
        "  [2] stem: 1.23e+402 paths, the most paths of the gradient lead here",
        "  [2] stem: 5.3 layers, by energy, the gradient has the longest way to this layer",
        "  [4] last: 3 layers, the most layers receive the gradient of this layer",
    ]


def test_a_single_strategy_has_no_differences() -> None:
    frames = {
        "strategies": pd.DataFrame([{"network": "none", "stage": "whole", MAIN: 0.6, "flops": 1e9}]),
        "differences": pd.DataFrame(),
    }
    table = brief(Result({name: Table(name, frame, "") for name, frame in frames.items()}, {}, ""))
    assert table is not None
    assert [row[0] for row in table.block.rows] == ["none"]
    assert "difference from" not in table.legend
