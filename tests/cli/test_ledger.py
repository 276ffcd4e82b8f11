"""The ledger of several losses on stdout."""

from __future__ import annotations

import pandas as pd
import pytest
from ledgers import DETECTOR, LOSSES, conflicts, losses

from gradlens.results import Result, Table
from gradlens_cli import ledger, screen
from gradlens_cli.layout import plain


def result(*networks: str, names: tuple[str, ...] = LOSSES) -> Result:
    frames = {"losses": losses(networks, names), "conflicts": conflicts(networks, names)}
    tables = {name: Table(name, frame, "") for name, frame in frames.items()}
    return Result(tables, {"kind": "inspect", "a": networks[0], "seeds": [0]}, "Finding.")


def test_one_network_has_a_row_per_stage_with_intervals() -> None:
    (block,) = ledger.ledger_blocks(result("net"))
    assert list(block.headers) == ["share of energy", *LOSSES]
    assert [row[0] for row in block.rows] == list(DETECTOR)
    assert block.rows[0] == ["4", "0.40 ± 0.02", "0.30 ± 0.02", "0.30 ± 0.02"]


def test_two_networks_stand_side_by_side_also_if_one_lacks_a_stage() -> None:
    two = result("a", "b")
    frame = two["losses"].frame
    kept = frame[(frame["network"] == "a") | (frame["where"] != "16")]
    tables = {**two.tables, "losses": Table("losses", kept, "")}
    (block,) = ledger.ledger_blocks(Result(tables, two.meta, ""))
    rows = {row[0]: row[1] for row in block.rows}
    assert rows["4"] == "0.40 | 0.40"
    assert rows["16"] == "0.50 | \N{EN DASH}"


def test_three_networks_have_a_row_each_for_the_whole_network() -> None:
    (block,) = ledger.ledger_blocks(result("a", "b", "c"))
    assert block.headers[0] == "share of energy (whole)"
    assert [row[0] for row in block.rows] == ["a", "b", "c"]


def test_the_stage_and_the_pair_with_most_samples_in_conflict_are_named() -> None:
    two = result("a", "b")
    frame = two["conflicts"].frame
    frame.loc[(frame["network"] == "b") & (frame["where"] == "8"), "conflict"] = 1.2
    first, second = ledger.conflict_lines(two)
    assert first.startswith(f"most in conflict of a: {LOSSES[0]} | {LOSSES[1]} in head 8 box, ")
    assert second.startswith(f"most in conflict of b: {LOSSES[0]} | {LOSSES[1]} in stage 8, ")


@pytest.mark.parametrize("everything", [True, False])
def test_the_ledger_follows_the_table_of_a_command(
    everything: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    screen.show(result("net", names=("cls", "box")), everything=everything)
    text = capsys.readouterr().out
    assert "share of energy    cls          box\n" in text
    assert "most in conflict: cls | box in head 8 box, " in text


def test_a_result_of_one_loss_has_no_ledger() -> None:
    table = Table("summary", pd.DataFrame({"stage": ["whole"]}), "")
    one = Result({"summary": table}, {}, "Finding.")
    assert ledger.ledger_blocks(one) == []
    assert list(ledger.conflict_lines(one)) == []


def test_the_ledger_of_a_detector_fits_120_columns() -> None:
    (block,) = ledger.ledger_blocks(result("fcos:resnet50", "fcos:cspresnet50"))
    assert max(map(len, plain(block).splitlines())) <= 120


def test_the_shares_at_both_ends_of_a_training_have_a_row_per_network() -> None:
    ends = [losses(["none", "csp"]).assign(step=step) for step in (0, 50, 100)]
    ends[2].loc[(ends[2]["network"] == "csp") & (ends[2]["loss"] == LOSSES[0]), "share"] = 0.1
    frame = pd.concat(ends).query("level == 'stage'")
    table = Table("losses_along", frame, "")
    (block,) = ledger.along_training(Result({"losses_along": table}, {}, "Finding."))
    assert list(block.headers) == ["share of energy, step 0 to 100", *LOSSES]
    assert block.rows[0] == ["none", "0.75 to 0.75", "0.12 to 0.12", "0.12 to 0.12"]
    assert block.rows[1][:2] == ["csp", "0.75 to 0.10"]
    assert ledger.along_training(result("net")) == []
