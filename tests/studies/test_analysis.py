"""Analysis of recordings; a saved one is analysed and reported without torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

import gradlens as gl
from gradlens.analyzers import ANALYZERS
from gradlens.catalogue import TABLES
from gradlens.data import load_data
from gradlens.recording import Watch
from gradlens.studies.analysis import analyze_paths, analyze_several

READER = """
import importlib.abc, json, sys


class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm"):
            raise ImportError(f"{name} is not installed here")


sys.meta_path.insert(0, Absent())
try:
    import torch
except ImportError:
    pass
else:
    raise SystemExit("torch is not blocked")

import gradlens as gl
from gradlens.report import write

for path in sys.argv[1:]:
    result = gl.analyze(gl.Recording.load(path), extra=("null", "canonical"))
    page = write(result, path + ".run")
    assert gl.load(path + ".run").finding == result.finding
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    print(json.dumps({"finding": result.finding, "tables": list(result.tables), "warnings": list(result.warnings)}))
assert not {"torch", "torchvision", "timm"} & set(sys.modules)
"""


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        return self.head((x + torch.relu(self.inner(x))).mean((2, 3)))


def record(seed: int = 0, **watch: object) -> gl.Recording:
    torch.manual_seed(seed)
    data = load_data("random", batch_size=8, batches=2, image_size=8, seed=seed)
    return gl.capture(Residual(), data, Watch(seed=seed, **watch), progress=False)


def test_saved_recordings_are_analysed_and_reported_without_torch(tmp_path):
    recordings = {space: record(space=space) for space in ("activations", "weights")}
    paths = [
        str(recording.save(tmp_path / f"{space}.safetensors")) for space, recording in recordings.items()
    ]
    command = [sys.executable, "-c", READER, *paths]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 0, process.stderr
    expected = [
        gl.analyze(recording, extra=("null", "canonical"), progress=False)
        for recording in recordings.values()
    ]
    assert [json.loads(line) for line in process.stdout.splitlines()] == [
        {"finding": result.finding, "tables": list(result.tables), "warnings": list(result.warnings)}
        for result in expected
    ]


def test_a_result_of_paths_has_its_kind_and_its_tables():
    result = analyze_paths(record())
    chosen = [entry.name for entry in TABLES if entry.in_paths]
    assert result.meta["kind"] == "paths"
    assert set(result.tables) <= set(chosen)
    assert list(result.tables)[:2] == ["structure", "paths"]
    assert result.provenance.networks == ("Residual",)


def test_every_analyzer_names_what_a_recording_lacks():
    recording = record(sites="forks")
    for name, analyzer in ANALYZERS.items():
        if analyzer(recording) is None:
            with pytest.raises(gl.GradlensError, match=f"no table '{name}': this recording "):
                gl.analyze(recording, [name], progress=False)


def test_several_recordings_are_compared_with_the_first():
    first = record()
    others = [first.with_meta(network=name) for name in ("a", "b", "c")]
    result = analyze_several(others)
    assert result.provenance.networks == ("a", "b", "c")
    assert result.provenance.kind == "compare"
