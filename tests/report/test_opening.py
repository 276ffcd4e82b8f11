"""The first screen: the heading and its limits, the main numbers, the leading figure, and where to look."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest
from report.test_page import HOSTILE, Outline

from gradlens.report.comparison import essentials
from gradlens.report.opening import LONG, cautions, details, heading, leading, places
from gradlens.report.page import page
from gradlens.results import Result, Table
from gradlens.words.conspicuous import conspicuous, usual

UNFAIR = "not a fair comparison: 4 of 9 signals of a are live and 9 of 9 of b; use warmup_steps=10"


def test_an_unfair_comparison_is_marked_in_the_heading_and_not_repeated(make_result):
    result = replace(make_result(), warnings=(UNFAIR, "b: one seed"))
    head = heading(result)
    assert (head.mark, head.text) == ("Not a fair comparison", "cspresnet50 duplicates less than resnet50.")
    assert head.reasons == ("4 of 9 signals of a are live and 9 of 9 of b; use warmup_steps=10",)
    assert [caution.full for caution in cautions(result)] == [("b: one seed",)]
    text = page(result, {})
    assert '<span class="mark">Not a fair comparison:</span> cspresnet50' in text
    assert text.count("9 of 9 of b") == 1


def test_warnings_that_differ_only_by_network_are_one_line_and_in_full_each(make_result):
    few = "{}: D of {} signals is biased upwards by up to about {}, because batches are small; use batch_size=64"
    texts = [few.format("resnet50", 54, 0.01), "one seed: no interval", few.format("cspresnet50", 56, 0.02)]
    result = replace(make_result(), warnings=tuple(texts))
    first, second = cautions(result)
    assert first.brief == (
        "resnet50, cspresnet50: D of 54–56 signals is biased upwards by up to about 0.01–0.02; use batch_size=64"
    )
    assert first.full == (texts[0], texts[2])
    assert first.longer
    assert (second.brief, second.longer) == ("one seed: no interval", False)
    text = page(result, {})
    assert all(text.count(full) == 1 for full in first.full)


def test_a_finding_that_says_so_itself_is_marked_once(make_result):
    result = make_result().warned([UNFAIR])
    for finding, text in (
        ("Not a fair comparison: cspresnet50 has less. More.", "cspresnet50 has less."),
        ("Not a fair comparison: whether it has less depends. More.", "Whether it has less depends."),
    ):
        head = heading(replace(result, finding=finding))
        assert (head.mark, head.text) == ("Not a fair comparison", text)
        assert details(replace(result, finding=finding)) == "More."
    alone = heading(replace(result, finding="Not a fair comparison: cspresnet50 has less.", warnings=()))
    assert (alone.mark, alone.text) == ("", "Not a fair comparison: cspresnet50 has less.")


def test_a_partial_run_and_an_unfair_comparison_share_the_mark(make_result):
    head = heading(make_result(partial=True).warned([UNFAIR]))
    assert head.mark == "Partial result; not a fair comparison"
    assert [reason.split(":")[0] for reason in head.reasons] == ["Partial result", "Not a fair comparison"]


@pytest.mark.parametrize(
    ("seeds", "p", "mark"),
    [(2, 0.2, "Too few seeds"), (2, 0.01, ""), (3, 0.2, "Too few seeds"), (5, 0.2, ""), (1, 0.2, "")],
)
def test_seeds_that_cannot_pass_the_correction_are_marked_if_no_difference_passes(
    seeds, p, mark, make_result
):
    result = make_result(seeds=list(range(seeds)))
    table = result["comparison"]
    frame = table.frame.assign(rarefied_duplication_p_holm=p)
    tables = {**result.tables, "comparison": replace(table, frame=frame)}
    assert heading(replace(result, tables=tables)).mark == mark


def test_a_long_heading_is_smaller_and_loses_numbers_in_parentheses(make_result):
    result = make_result()
    long = replace(
        result, finding="resnet50 has less " + "and less " * 20 + "(0.1, 95 % interval 0 to 1). Few."
    )
    head = heading(long)
    assert "interval" not in head.text
    assert head.size != "short"
    assert details(long) == long.finding
    assert heading(result).size == "short"
    assert len(heading(result).text) <= LONG
    assert heading(replace(result, finding="It is less (0.1). Few.")).text == "It is less (0.1)."


def test_the_main_numbers_are_those_of_the_screen(make_result):
    pair = essentials(make_result())
    assert [row.label for row in pair.whole] == ["duplication", "FLOPs"]
    assert pair.whole[0].cells == ("0.700", "0.600")
    assert [row.label for row in essentials(make_result(kind="inspect")).whole] == ["duplication", "FLOPs"]
    assert essentials(Result({}, {}, "")) is None


def test_the_main_numbers_of_paths_are_those_of_the_structure():
    frame = pd.DataFrame(
        {"network": ["n", "n"], "stage": ["4", "whole"], "layers": [3, 9], "longest": [3, 8]}
    )
    result = Result({"structure": Table("structure", frame, "")}, {"kind": "paths", "a": "n"}, "Found.")
    assert [(row.label, row.cells) for row in essentials(result).whole] == [
        ("layers", ("9",)),
        ("longest path", ("8",)),
    ]


def test_several_networks_are_the_rows_of_the_main_numbers():
    columns = {"network": ["a", "b", "c"], "stage": ["whole"] * 3, "m": [7.0] * 3}
    frame = pd.DataFrame({**columns, "rarefied_duplication": [0.1, 0.2, 0.3], "accuracy": [0.5] * 3})
    text = page(Result({"networks": Table("networks", frame, "")}, {}, "Found."), {})
    table = text[text.index("essentials") :].split("</table>")[0]
    assert re.findall(r'<th scope="row">(.*?)</th><td class="number">(.*?)</td>', table) == [
        ("a", "0.100"), ("b", "0.200"), ("c", "0.300")
    ]  # fmt: skip
    assert "duplication (m\u00a0=\u00a07)" in table
    assert "accuracy" not in table


def test_the_leading_figure_is_the_first_that_can_carry_the_finding():
    assert leading(["flow", "duplication", "cost"]) == "duplication"
    assert leading(["duplication", "effects"]) == "effects"
    assert leading(["duplication", "contrasts", "networks"]) == "contrasts"
    assert leading(["shares", "structure", "paths"]) == "paths"
    assert leading(["cost"]) == leading([]) == ""


def diagnosis(*rows, network="a"):
    columns = ["kind", "rank", "stage", "place", "other", "value", "reach", "given_loss", "found"]
    frame = pd.DataFrame([(*row, 0.01, 0.6, 1) for row in rows], columns=columns)
    frame.insert(0, "network", network)
    return Table("diagnosis", frame, "Conspicuous sites.")


def test_where_to_look_has_a_sentence_a_value_and_a_link_for_each_place():
    rows = [
        ("duplicated pair", 1, "8", "c1", HOSTILE, 0.98),
        ("dead signal", 1, "4", "c0", "", 0.0),
        ("idle branch", 1, "8", "add", "skip", 0.004),
    ]
    empty = Table("map_nodes", pd.DataFrame({"network": ["a"]}), "")
    tables = {
        "diagnosis": diagnosis(*rows),
        "map_nodes": empty,
        "map_edges": replace(empty, name="map_edges"),
    }
    result = Result(tables, {}, "Found.")
    listed = places(result)["a"]
    assert listed == conspicuous(result, usual(result))
    outline = Outline(page(result, {}))
    links = [link for link in outline.all("a") if "data-signals" in link]
    assert [json.loads(link["data-signals"]) for link in links] == [["c0"], ["add"], ["c1", HOSTILE]]
    assert {link["data-network"] for link in links} == {"a"}
    assert {link["href"] for link in links} == {"#network-map"}
    for words in (
        "c0 0 stage 4 No gradient arrives, so it does not learn.",
        "add, skip 0.40 % of the energy stage 8 Hardly any gradient comes through this branch.",
        "0.98 stage 8 These two layers have similar gradients, also given the loss.",
    ):
        assert words in outline.text


def test_places_have_no_links_without_a_map():
    result = Result({"diagnosis": diagnosis(("dead signal", 1, "4", "c0", "", 0.0))}, {}, "Found.")
    outline = Outline(page(result, {}))
    assert "Where to look c0 0 stage 4" in outline.text
    assert not any("data-signals" in link for link in outline.all("a"))


def test_three_networks_have_one_place_each():
    frames = [
        diagnosis(
            ("dead signal", 1, "4", "c0", "", 0.0), ("dead signal", 2, "4", "c1", "", 0.0), network=name
        ).frame
        for name in ("a", "b", "c")
    ]
    result = Result({"diagnosis": Table("diagnosis", pd.concat(frames), "")}, {}, "Found.")
    assert {name: len(rows) for name, rows in places(result).items()} == {"a": 1, "b": 1, "c": 1}
