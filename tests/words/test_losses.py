"""Sentences about several losses: one that leads, two that conflict."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from gradlens.results import Table
from gradlens.words.losses import conflicting_losses, leading_losses


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"network": "net", "level": "stage", **columns})


def test_words_name_the_loss_that_leads_only_if_its_interval_shows_it() -> None:
    rows = {"where": ["whole"] * 2, "loss": ["cls", "box"], "share": [0.8, 0.2], "share_high": [0.9, 0.4]}
    clear = Table("losses", frame_of(**rows, share_low=[0.6, 0.1]), "")
    assert leading_losses({"losses": clear}) == (
        "The loss cls has 0.80 of the energy of the gradient (mean over layers, 95 % interval 0.60 to 0.90)."
    )
    for low in (0.4, math.nan):
        assert leading_losses({"losses": Table("losses", frame_of(**rows, share_low=[low, 0.1]), "")}) == ""
    assert leading_losses({}) == ""


def test_words_warn_of_conflict_in_most_samples_of_a_stage() -> None:
    rows = {
        "where": ["4", "8", "16", "whole"],
        "loss_a": "cls",
        "loss_b": "box",
        "conflict": [0.9, 0.7, 0.6, 0.8],
    }
    table = Table("conflicts", frame_of(**rows, conflict_low=[0.8, 0.6, 0.4, 0.7]), "")
    (warning,) = conflicting_losses({"conflicts": table})
    assert "of the losses cls and box conflict" in warning
    assert "in stages 4, 8: up to 0.90 of them" in warning
    assert list(conflicting_losses({})) == []
