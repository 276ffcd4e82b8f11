"""Detectors under transition strategies: the ledger of their losses along a training, and notes on their data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import gradlens as gl
from gradlens.results import Result
from gradlens.words.samples import is_note
from tests.detectors import small_fcos

MEASURING: dict[str, Any] = {"batches": 1, "throughput": False, "progress": False, "seeds": 1}
SMALL: dict[str, Any] = {"data": "scenes", "image_size": 32, "batch_size": 4}


@pytest.fixture(scope="module")
def trained() -> Result:
    training = gl.Training(steps=2, snapshots=2)
    return gl.strategies(small_fcos, strategies=["none"], training=training, **SMALL, **MEASURING)


def test_the_ledger_along_a_training_ends_with_that_of_the_result(trained: Result) -> None:
    along = trained["losses_along"].frame
    assert sorted(along["step"].unique()) == [0, 1, 2]
    stages = trained["losses"].frame.query("level == 'stage'")
    last = along[along["step"] == 2]
    assert last["stage"].tolist() == stages["where"].tolist()
    columns = ["network", "loss", "energy", "share", "share_low", "share_high", "coherence"]
    pd.testing.assert_frame_equal(
        last[columns].reset_index(drop=True), stages[columns].reset_index(drop=True)
    )


def test_the_ledger_along_a_training_begins_with_that_of_the_fresh_network(trained: Result) -> None:
    fresh = gl.inspect(small_fcos, **SMALL, **MEASURING)["losses"].frame.query("level == 'stage'")
    along = trained["losses_along"].frame
    first = along[along["step"] == 0].set_index(["stage", "loss"])["share"]
    np.testing.assert_allclose(first.to_numpy(), fresh["share"].to_numpy(), rtol=1e-4)
    assert not np.allclose(first, along[along["step"] == 2]["share"], rtol=1e-3)


def test_a_network_of_one_loss_has_no_such_table() -> None:
    result = gl.strategies(
        "resnet18", strategies=["none"], training=gl.Training(steps=1, snapshots=1), image_size=32, batch_size=4,
        **MEASURING,
    )  # fmt: skip
    assert "losses_along" not in result.tables


def test_boxes_that_were_left_out_and_smaller_defaults_are_notes(tmp_path: Path) -> None:
    for number in range(8):
        Image.fromarray(np.full((40, 40, 3), 20 * number, np.uint8)).save(tmp_path / f"{number}.png")
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [4, 4, 20, 20]} for n in range(8)]
    boxes.append({"id": 8, "image_id": 0, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1})
    boxes.append({"id": 9, "image_id": 1, "category_id": 1, "bbox": [5, 5, 0, 9]})
    document = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 40, "height": 40} for n in range(8)],
        "annotations": boxes, "categories": [{"id": 1, "name": "square"}],
    }  # fmt: skip
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    data = f"coco:{tmp_path}/boxes.json"
    for result in (
        gl.inspect(small_fcos, data=data, image_size=32, **MEASURING),
        gl.strategies(small_fcos, strategies=["none"], data=data, image_size=32, **MEASURING),
    ):
        notes = [text for text in result.warnings if is_note(text)]
        assert "batch_size=8 is one of the defaults for data with boxes" in notes[0]
        assert "left out of the boxes of the file: 1 crowds, 1 boxes without area" in notes
