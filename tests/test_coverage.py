"""The page of coverage: what it says of a network that is measured, and of one that is not."""

from __future__ import annotations

import gradlens as gl
from benchmarks import coverage


def test_every_network_of_the_libraries_has_a_row() -> None:
    names = list(coverage.names(None))
    assert len(names) == len(set(names))
    for name in ("retinanet_resnet50_fpn_v2", "deeplabv3_resnet101", "mvit_v2_s", "raft_large"):
        assert f"torchvision:{name}" in names
    assert "ultralytics:yolo26n.yaml" in names


def test_rows_show_errors_stages_losses_and_splits_or_the_problem() -> None:
    measured = {
        "name": "a", "captured": True, "error": 0.0, "projected": 2e-7, "stages": ["8", "head 8"], "splits": 2,
        "defined": {"C2f": 2}, "losses": {"names": ["box", "cls"], "error": 1e-7},
    }  # fmt: skip
    failed = {"name": "b", "captured": False, "problem": "too | small"}
    lines = coverage.page({"rows": [measured, failed]}).splitlines()
    assert "| a | 0e+00, 2e-07 | 8, head 8 | box, cls: 1e-07 | 2, 2 C2f |" in lines
    assert "| b | **no** | too / small | | |" in lines
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_a_network_that_fails_has_its_message_in_the_row() -> None:
    entry = coverage.row("torchvision:no_such_network")
    assert not entry["captured"]
    assert "has no model 'no_such_network'" in entry["problem"]


def test_modules_that_split_are_counted_by_their_class() -> None:
    assert coverage.defined_splits("resnet18@csp", gl.load_model("resnet18@csp")) == {"CrossStage": 4}


def test_the_summary_counts_rows_that_are_right() -> None:
    right = {
        "captured": True,
        "error": 0.0,
        "projected": 1e-7,
        "splits": 2,
        "defined": {"C2f": 2},
        "losses": {},
    }
    rows = [
        right,
        {**right, "error": 1e-3},
        {**right, "splits": 1, "losses": {"names": ["a"], "error": 1e-6}},
        {**right, "losses": {"names": ["a"], "error": 0.1}},
        {"captured": False},
    ]
    line = coverage.summary(rows)
    assert line.startswith("4 of 5 networks could be measured. Of these, 3 are exact")
    assert "1 of the 2 with several losses add up, and 3 have the splits" in line


def test_a_chain_without_a_fork_has_nothing_to_add_up() -> None:
    entry = {
        "name": "a", "captured": True, "error": None, "projected": None, "stages": ["2"], "splits": 0, "defined": {},
        "losses": {},
    }  # fmt: skip
    assert "| a | no fork | 2 | one | 0, none |" in coverage.page({"rows": [entry]})
    assert "1 are exact" in coverage.summary([entry])
