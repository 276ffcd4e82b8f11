"""Numbers and sentences on the page."""

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gradlens.numbers import NARROW, format_cell, percent
from gradlens.report.captions import CAPTIONS, caption
from gradlens.report.comparison import overview
from gradlens.report.page import page
from gradlens.results import Result, Table

NAN = math.nan
G, M = f"{NARROW}G", f"{NARROW}M"


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (4_089_184_256, "flops", f"4.09{G}"),
        (np.int64(25_557_032), "parameters", f"25.6{M}"),
        (999_960, "flops_a", f"1.00{M}"),
        (512, "parameters", "512"),
        (99_999_999.9, "parameters", f"100{M}"),
        (99.99, "rms", "100"),
        (3 * 2**20, "saved_bytes", f"3.00{NARROW}MiB"),
        (0.5, "duplication", "0.500"),
        (0.0, "error", "0"),
        (-1.5e-7, "error", "−1.50e-7"),
        (17, "signals", "17"),
        (math.nan, "duplication", "–"),
        (None, "", "–"),
        (np.True_, "dead", "yes"),
        (math.inf, "diversity", "∞"),
        ("4", "stage", "4"),
    ],
)
def test_cells(value, column, text):
    assert format_cell(value, column) == text


def test_signs():
    assert format_cell(0.1, sign=True) == "+0.100"
    assert format_cell(0.0, sign=True) == "0"
    assert percent(0.5, sign=True) == "+50 %"
    assert percent(0.5) == "50 %"


def test_the_caption_of_duplication_names_the_highest_and_lowest_stage(make_result):
    text = caption("duplication", make_result()["duplication"].frame)
    assert text.startswith("resnet50: D: 0.510 over the whole network (0.510 given the loss)")
    assert "highest at stride 4 (0.810) and lowest at stride 8 (0.310)" in text


def flow_of(sizes, stages=None):
    """Return the flow of layers of these sizes, from the input to the loss."""
    count = len(sizes)
    return pd.DataFrame(
        {"network": "net", "stage": stages or ["4"] * count, "signal": [f"l{i}" for i in range(count)],
         "role": "signal", "depth": range(count), "rms": sizes, "dead": [size == 0 for size in sizes]}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([8.6, 0.1, 0.01], "net: the first layer (l0) receives 860 times what the last one (l2) does."),
        ([0.01, 0.1, 8.6], "net: the first layer (l0) receives 1/860 of what the last one (l2) does."),
        ([1.0, 0.5, 1.01], "net: the first layer (l0) receives as much as what the last one (l2) does."),
        (
            [0.0, 2.0, 1.0],
            "net: the first layer (l1) receives 2 times what the last one (l2) does, with 1 dead of 3",
        ),
        ([0.0, 2.0], "net: too few live signals to compare, with 1 dead of 2 signals."),
        ([0.0, 0.0], "net: too few live signals to compare, with 2 dead of 2 signals."),
        ([300.0, 1.0, 1.0, 1.0], "does, with 1 exploding (over 100 times the median) of 4 signals."),
        ([1e-3, 1.0, 1.0, 1.0], "does, with 1 vanishing (below 1/100 of the median) of 4 signals."),
    ],
)
def test_the_caption_of_flow_reads_in_the_direction_of_the_gradient(sizes, sentence):
    assert sentence in caption("flow", flow_of(sizes))


def test_the_caption_of_flow_leaves_the_head_out():
    """Behind a mean over positions, a gradient per element is larger by their number."""
    text = caption("flow", flow_of([4.0, 2.0, 1.0, 49.0], ["4", "8", "8", "head"]))
    assert "receives 4 times what the last one before the head (l2) does." in text
    assert "receives 2 times what the last one (l1) does." in caption(
        "flow", flow_of([4.0, 2.0], ["head"] * 2)
    )


def test_the_caption_of_exactness_states_bit_for_bit_only_if_it_is_true():
    frame = pd.DataFrame({"error": [0.0, 0.0], "projected_error": [1e-7, 2e-7]})
    assert "2 forks" in caption("exactness", frame)
    assert "bit for bit" in caption("exactness", frame)
    frame.loc[0, "error"] = 3e-7
    assert "to within 3.00e-7 relative" in caption("exactness", frame)


@pytest.mark.parametrize("name", CAPTIONS)
def test_a_table_without_rows_has_no_caption(name):
    assert caption(name, pd.DataFrame()) == ""


def test_an_unknown_table_has_no_caption():
    assert caption("unknown", pd.DataFrame({"x": [1]})) == ""


def test_the_overview_marks_only_intervals_without_zero(make_result):
    comparison = overview(make_result())
    assert comparison.networks == ("resnet50", "cspresnet50")
    by_stage = {row.label: row for row in comparison.stages["Duplication D_m, energy"]}
    assert list(by_stage) == ["4", "head", "whole"]
    assert by_stage["4"].clear
    assert not by_stage["whole"].clear
    assert by_stage["head"].cells == ("–", "–")
    assert by_stage["whole"].cells == ("0.700", "0.600")
    assert comparison.stages["Flow slope (decades per layer)"][0].difference == "−0.3000"


def networks_of(names):
    rows = [
        {"network": name, "stage": stage, "rarefied_duplication": 0.7 - 0.1 * i, "flops": (1 + i) * 1e9}
        for i, name in enumerate(names)
        for stage in ("4", "whole")
    ]
    return Result({"networks": Table("networks", pd.DataFrame(rows), "One row per network.")}, {}, "")


def test_more_than_two_networks_are_next_to_each_other():
    comparison = overview(networks_of(("a", "b", "c")))
    assert comparison.networks == ("a", "b", "c")
    assert not comparison.paired
    assert [(row.label, row.cells) for row in comparison.whole] == [
        ("Duplication D_m, energy", ("0.700", "0.600", "0.500")),
        ("FLOPs per image", (f"1.00{G}", f"2.00{G}", f"3.00{G}")),
    ]
    assert caption("networks", networks_of(("a", "b"))["networks"].frame) == (
        f"a: D_m: 0.700 at 1.00{G} FLOPs per image; b: D_m: 0.600 at 2.00{G} FLOPs per image."
    )


def test_a_rarefied_duplication_has_its_number_of_signals_beside_it(make_result):
    frame = networks_of(("a", "b"))["networks"].frame.assign(m=[9.0, 21.0, 9.0, 21.0])
    several = overview(Result({"networks": Table("networks", frame, "")}, {}, ""))
    assert several.whole[0].label == "Duplication D_m, energy (m = 21)"
    assert several.stages["Duplication D_m, energy"][0].label == "4 (m = 9)"
    assert several.whole[1].label == "FLOPs per image"
    result = make_result()
    table = result["comparison"]
    pair = overview(Result({"comparison": replace(table, frame=table.frame.assign(m=7))}, result.meta, ""))
    assert pair.whole[0].label == "Duplication D_m, energy (m = 7)"


def test_values_of_several_networks_have_their_intervals():
    result = networks_of(("a", "b", "c"))
    frame = result["networks"].frame.assign(
        rarefied_duplication_low=0.4, rarefied_duplication_high=[0.5, 0.6, 0.4, 0.402, NAN, 0.5]
    )
    comparison = overview(Result({"networks": Table("networks", frame, "")}, {}, ""))
    whole, flops = comparison.whole
    assert whole.cells == ("0.700", "0.600", "0.500")
    assert whole.within == ("± 0.100", "± 0.001", "± 0.050")
    assert flops.within == ("", "", "")
    assert comparison.stages["Duplication D_m, energy"][0].within == ("± 0.050", "", "")
    text = page(Result({"networks": Table("networks", frame, "")}, {}, ""), {})
    assert re.search(r'0\.700 <span class="interval" title="[^"]+">± 0\.100</span>', text)


def test_a_missing_stage_of_a_network_is_a_dash_without_interval():
    frame = networks_of(("a", "b"))["networks"].frame.assign(
        rarefied_duplication_low=0.4, rarefied_duplication_high=0.5
    )
    comparison = overview(Result({"networks": Table("networks", frame.iloc[1:], "")}, {}, ""))
    row = comparison.stages["Duplication D_m, energy"][0]
    assert (row.label, row.cells, row.within) == ("4", ("–", "0.600"), ("", "± 0.050"))


def test_the_caption_of_contrasts_counts_differences_after_correction():
    frame = pd.DataFrame(
        {"stage": "whole", "metric": "rarefied_duplication", "a": "a", "b": ["b", "c"], "p_holm": [0.01, 0.2]}
    )
    assert caption("contrasts", frame) == "rarefied duplication: 1 of 2 pairs differ after Holm's correction."


def test_the_caption_of_cross_has_a_clause_for_each_pair_of_networks():
    frame = pd.DataFrame(
        {
            "network_a": "a",
            "network_b": ["b", "b", "c"],
            "stage_a": "4",
            "stage_b": ["4", "8", "8"],
            "order_a": 0,
            "order_b": [0, 1, 0],
            "energy": [0.4, 0.2, math.nan],
        }
    )
    assert caption("cross", frame) == (
        "The layer of b most similar to a layer of a is in the same stage for 1 of 1 layers; mean CKA 0.300 over all"
        " pairs; no two layers of a and c have a value."
    )
