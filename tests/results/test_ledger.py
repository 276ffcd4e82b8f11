"""The ledger of losses in brief: a column per loss, and the pair that conflicts most."""

import pandas as pd
import pytest
from ledgers import DETECTOR, LOSSES, conflicts, losses

from gradlens.catalogue.losses import LOSSES_OF
from gradlens.errors import GradlensError
from gradlens.results import Result, Table
from gradlens.results.ledger import CONFLICT, PAIR


def result(**frames):
    return Result({name: Table(name, frame, "") for name, frame in frames.items()}, {}, "Finding.")


def test_the_ledger_has_a_row_per_network_and_stage_and_a_column_per_loss():
    tidy = losses(["a", "b"])
    ledger = result(losses=tidy).losses.frame
    assert list(zip(ledger["network"], ledger["stage"], strict=True)) == [
        (n, s) for n in "ab" for s in DETECTOR
    ]
    for _, row in tidy[tidy["level"] == "stage"].iterrows():
        (share,) = ledger.loc[(ledger["network"] == row["network"]) & (ledger["stage"] == row["where"]),
                              f"share of {row['loss']}"]  # fmt: skip
        assert share == row["share"]


def test_networks_with_different_losses_have_empty_cells():
    both = pd.concat([losses(["a"], names=("cls", "box")), losses(["b"], names=("cls", "obj"))])
    ledger = result(losses=both).losses.frame.set_index("network")
    assert ledger.loc["a", "share of obj"].isna().all()
    assert ledger.loc["b", "share of obj"].notna().all()


def test_the_pair_with_most_samples_in_conflict_is_named():
    pairs = conflicts(["a"])
    at = (pairs["where"] == "16") & (pairs["loss_a"] == LOSSES[1]) & (pairs["level"] == "stage")
    pairs.loc[at, "conflict"] = 0.97
    pairs.loc[pairs["where"] == "32", "conflict"] = float("nan")
    ledger = result(losses=losses(["a"]), conflicts=pairs).losses.frame.set_index("stage")
    assert ledger.loc["16", [PAIR, CONFLICT]].tolist() == [f"{LOSSES[1]} | {LOSSES[2]}", 0.97]
    assert pd.isna(ledger.loc["32", PAIR])


@pytest.mark.parametrize(
    "names", [("stage", "network"), ("share", "pair"), ("cls", "cls_low"), ("a | b", "c")]
)
def test_losses_of_any_name_are_columns(names):
    tables = result(losses=losses(["a"], names=names), conflicts=conflicts(["a"], names=names))
    ledger = tables.losses.frame
    assert ledger.columns.is_unique
    tidy = tables["losses"].frame
    for name in names:
        shares = tidy.loc[(tidy["level"] == "stage") & (tidy["loss"] == name), "share"]
        assert ledger[f"share of {name}"].tolist() == shares.tolist()


def test_a_stage_without_energy_is_left_out():
    dead = losses(["a"])
    dead.loc[dead["where"] == "8", ["share", "share_low", "share_high"]] = float("nan")
    assert "8" not in set(result(losses=dead).losses.frame["stage"])


def test_a_result_of_one_loss_says_how_to_measure_several():
    with pytest.raises(GradlensError, match=r"one loss.*losses=\{...\}"):
        _ = result(summary=pd.DataFrame({"stage": ["whole"]})).losses


def test_the_ledger_is_in_the_notebook_view_and_losses_are_named_in_the_frames():
    measured = result(losses=losses(["a"]), conflicts=conflicts(["a"]))
    assert f"share of {LOSSES[1]}" in measured._repr_html_()
    assert measured["conflicts"].frame.attrs[LOSSES_OF] == LOSSES
    loaded = measured.relabelled({"a": "ours"})
    assert loaded["conflicts"].frame.attrs[LOSSES_OF] == LOSSES
    assert loaded.losses.frame["network"].unique() == ["ours"]


def test_a_saved_result_has_the_same_ledger(tmp_path):
    import gradlens as gl

    measured = result(losses=losses(["a"]), conflicts=conflicts(["a"]))
    pd.testing.assert_frame_equal(
        gl.load(measured.save(tmp_path / "run")).losses.frame, measured.losses.frame
    )
