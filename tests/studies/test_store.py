"""Cells on disk: complete or absent, and never of another run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.studies.store import CELL, Snapshot, Store


@pytest.fixture(scope="module")
def recording():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return gl.capture(model, [(torch.randn(5, 3, 8, 8), torch.arange(5) % 3)])


def snapshots(recording):
    return [
        Snapshot(0, recording, 2.5, math.nan),
        Snapshot(4, recording, 1.5, 1.25, 0.5),
    ]


def test_get_returns_what_was_put(recording, tmp_path: Path):
    store = Store(tmp_path / "cells", {"lr": 0.1, "seeds": [0, 1]})
    assert store.get("csp seed 0") is None
    store.put("csp seed 0", snapshots(recording))
    first, last = store.get("csp seed 0")
    assert (first.step, last.step, last.loss, last.accuracy) == (0, 4, 1.25, 0.5)
    assert math.isnan(first.loss)
    np.testing.assert_array_equal(last.recording.grams, recording.grams)
    assert last.recording.plan.probes == recording.plan.probes
    assert store.get("csp seed 1") is None


def test_names_with_the_same_file_name_are_distinguished(recording, tmp_path: Path):
    store = Store(tmp_path, {})
    store.put("a/b", snapshots(recording))
    assert store.get("a:b") is None


def test_cells_of_another_request_are_refused(recording, tmp_path: Path):
    Store(tmp_path, {"lr": 0.1, "steps": 4}).put("cell", snapshots(recording))
    with pytest.raises(
        GradlensError, match=r"another run \(lr 0\.1, now 0\.2\); use the options of that run"
    ):
        Store(tmp_path, {"lr": 0.2, "steps": 4}).get("cell")


def test_an_unfinished_cell_is_none(recording, tmp_path: Path, monkeypatch):
    store = Store(tmp_path, {})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gradlens.studies.store.os.replace", full)
    with pytest.raises(GradlensError, match="No space left"):
        store.put("cell", snapshots(recording))
    assert store.get("cell") is None
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_cell_is_named(recording, tmp_path: Path):
    store = Store(tmp_path, {})
    store.put("cell", snapshots(recording))
    (path,) = tmp_path.glob(f"*/{CELL}")
    document = json.loads(path.read_text())
    del document["snapshots"][0]["step"]
    path.write_text(json.dumps(document))
    with pytest.raises(GradlensError, match="is damaged"):
        store.get("cell")


def test_without_a_folder_nothing_is_kept(recording):
    store = Store(None, {})
    store.put("cell", snapshots(recording))
    assert store.get("cell") is None
