"""Labels of networks: in tables, sentences, colours and figures, and what cannot be a label."""

import pandas as pd
import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.plots.colours import STRATEGIES, styles_in
from gradlens.report.page import page
from gradlens.results import Result, Table, load
from gradlens.results.labels import relabelled_text

NAMES = ("resnet50", "cspresnet50", "resnet50@csp")


@pytest.fixture
def result():
    rows = [
        {
            "network": name,
            "stage": "4",
            "signal": "resnet50.conv",
            "depth": depth,
            "rms": 0.1 * depth,
            "dead": False,
        }
        for name in NAMES
        for depth in (1, 2)
    ]
    pairs = pd.DataFrame(
        {
            "stage": ["whole"] * 2,
            "metric": "accuracy",
            "a": "resnet50",
            "b": NAMES[1:],
            "difference": 0.1,
            "p_holm": 1,
        }
    )
    tables = {
        "flow": Table("flow", pd.DataFrame(rows), "The gradients of resnet50 and cspresnet50."),
        "contrasts": Table("contrasts", pairs, "Differences from resnet50."),
    }
    meta = {"kind": "compare", "a": "resnet50", "networks": list(NAMES),
            "models": {name: {"n": name} for name in NAMES},
            "command": "gradlens compare resnet50 cspresnet50 resnet50@csp"}  # fmt: skip
    finding = "cspresnet50 has less than resnet50. In numbers: resnet50@csp 0.1, resnet50: 0.2."
    return Result(
        tables, meta, finding, ("resnet50@csp differs from its baseline; use resnet50@csp,gamma=0.",)
    )


def test_labels_replace_whole_names_in_tables_sentences_and_metadata(result):
    shown = result.relabelled({"resnet50": "theirs", "resnet50@csp": "ours"})
    assert list(shown["flow"].frame["network"].unique()) == ["theirs", "cspresnet50", "ours"]
    assert set(shown["flow"].frame["signal"]) == {"resnet50.conv"}
    assert shown["flow"].caption == "The gradients of theirs and cspresnet50."
    assert shown["contrasts"].frame[["a", "b"]].to_numpy().tolist() == [
        ["theirs", "cspresnet50"],
        ["theirs", "ours"],
    ]
    assert shown.finding == "cspresnet50 has less than theirs. In numbers: ours 0.1, theirs: 0.2."
    assert shown.warnings == ("ours differs from its baseline; use resnet50@csp,gamma=0.",)
    assert shown.provenance.networks == ("theirs", "cspresnet50", "ours")
    assert shown.meta["labels"] == {"resnet50": "theirs", "resnet50@csp": "ours"}
    assert shown.meta["models"] == {
        "theirs": {"n": "resnet50"},
        "cspresnet50": {"n": "cspresnet50"},
        "ours": {"n": "resnet50@csp"},
    }
    assert shown.meta["command"] == result.meta["command"]
    assert list(result["flow"].frame["network"].unique()) == list(NAMES)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("none and csp differ", "base and ours differ"),
        ("csp, transitions only: 0.2; csp: 0.1.", "ours alone: 0.2; ours: 0.1."),
        ("none of the signals", "none of the signals"),
        ("use csp=0.2, csp.py, my-csp and net@csp", "use csp=0.2, csp.py, my-csp and net@csp"),
        ("(csp) 'csp' csp's", "(ours) 'ours' ours's"),
    ],
)
def test_a_name_is_replaced_only_as_a_whole(text, shown):
    assert (
        relabelled_text(text, {"none": "base", "csp": "ours", "csp, transitions only": "ours alone"}) == shown
    )


def test_labels_can_be_swapped_and_given_again(result, tmp_path):
    swapped = result.relabelled({"resnet50": "cspresnet50", "cspresnet50": "resnet50"})
    assert swapped.finding.startswith("resnet50 has less than cspresnet50.")
    again = result.relabelled({"resnet50": "x"}).relabelled({"x": "y"})
    assert again.meta["labels"] == {"resnet50": "y"}
    again.save(tmp_path)
    assert (
        load(tmp_path).finding
        == again.finding
        == result.finding.replace(" resnet50.", " y.").replace(" resnet50:", " y:")
    )


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"resnet5": "ours"}, "there are resnet50, cspresnet50, resnet50@csp; did you mean resnet50"),
        ({"resnet50": "x", "cspresnet50": "x "}, "resnet50 and cspresnet50 the same label 'x'"),
        ({"resnet50": "cspresnet50"}, "resnet50 and cspresnet50 the same label"),
        ({"resnet50": " "}, "give a text of one line"),
        ({"resnet50": "a\nb"}, "give a text of one line"),
        ({"resnet50": 3}, "give a text of one line"),
        (["ours", "theirs"], "give labels by name, such as {'resnet50': 'ours'}"),
    ],
)
def test_labels_that_do_not_fit_are_errors(labels, message, result):
    for call in (result.relabelled, lambda given: result.plot("flow", labels=given)):
        with pytest.raises(GradlensError, match=message):
            call(labels)


def test_a_figure_and_a_page_show_the_labels(result):
    ax = result.plot("flow", labels={"resnet50@csp": "ours"})
    assert any("ours" in text.get_text() for text in ax.get_legend().get_texts())
    assert any(
        "ours" in text.get_text()
        for text in result["flow"].plot(labels={"resnet50@csp": "ours"}).get_legend().get_texts()
    )
    text = page(result.relabelled({"cspresnet50": "our network"}), {})
    assert "our network has less than resnet50." in text
    assert "cspresnet50 has less" not in text


def test_a_network_keeps_the_colour_of_its_strategy_under_a_label(result):
    frame = result["flow"].frame
    frame["network"] = frame["network"].replace(
        {"resnet50": "resnet50@none", "cspresnet50": "resnet50@no_fusion"}
    )
    shown = Result({"flow": Table("flow", frame, "")}, {}, "").relabelled({"resnet50@csp": "ours"})
    assert styles_in(shown["flow"].frame)["ours"] == STRATEGIES["csp"]


def test_a_comparison_takes_labels_by_name():
    class Small(nn.Sequential):
        def __init__(self, width=4):
            super().__init__(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))

    class Wide(Small):
        def __init__(self):
            super().__init__(8)

    batches = [(torch.randn(8, 3), torch.randint(2, (8,))) for _ in range(1)]
    with pytest.raises(GradlensError, match="did you mean Wide"):
        gl.compare(Small, Wide, batches=batches, labels={"Wid": "ours"})
    shown = gl.compare(
        Small, Wide, batches=batches, seeds=1, throughput=False, progress=False, labels={"Wide": "ours"}
    )
    assert shown.provenance.networks == ("Small", "ours")
    assert "Wide" not in shown.finding
    assert "ours" in shown.finding


def test_a_loaded_network_has_the_name_that_it_was_loaded_by():
    batches = [(torch.randn(4, 3, 32, 32), torch.randint(10, (4,)))]
    model = gl.load_model("resnet18", num_classes=10)
    assert gl.capture(model, batches).name == "resnet18"
