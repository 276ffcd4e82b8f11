"""The blocks of the networks of ultralytics: one partial split per block that cuts its channels."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.extras import needs
from torch import Tensor, nn

import gradlens as gl
from gradlens.graph.branches import Branches
from gradlens.models.stage import CspStage

needs("ultralytics")
pytestmark = pytest.mark.extra

CUTTING = {
    "BottleneckCSP", "C2", "C2PSA", "C2f", "C2fCIB", "C2fPSA", "C3", "C3k", "C3k2", "ELAN1", "PSA", "RepCSP",
    "RepNCSPELAN4",
}  # fmt: skip
"""Classes that cut their channels in two by definition, and concatenate what becomes of both."""
COUNTS = {
    "yolov3.yaml": {},  # DarkNet-53 with residual blocks
    "yolov5n.yaml": {"C3": 8},
    "yolov6n.yaml": {},
    "yolov8n.yaml": {"C2f": 8},
    "yolov9t.yaml": {"ELAN1": 1, "RepNCSPELAN4": 7, "RepCSP": 14},
    "yolov10n.yaml": {"C2f": 7, "C2fCIB": 1, "PSA": 1},
    "yolo11n.yaml": {"C3k2": 8, "C3k": 3, "C2PSA": 1},
    "yolo12n.yaml": {"C3k2": 3, "C3k": 4},  # A2C2f is a chain without a cut
    "yolo26n.yaml": {"C3k2": 8, "C3k": 5, "C2PSA": 1},
}
"""Blocks of each network that cut their channels, with those inside other blocks."""
STAGES = {
    "yolov3.yaml": [2, 4, 6, 8, 10],
    "yolov5n.yaml": [2, 4, 6, 8],
    "yolov6n.yaml": [2, 4, 6, 8],
    "yolov8n.yaml": [2, 4, 6, 8],
    "yolov9t.yaml": [2, 4, 6, 8],
    "yolov10n.yaml": [2, 4, 6, 8],
    "yolo11n.yaml": [6, 8],
    "yolo26n.yaml": [6, 8],
}
"""Rows of each backbone that ``cspify`` cuts; other rows change their width inside, or hold attention."""


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if "ultralytics" not in sys.modules:  # its settings are written when it is imported
        monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tasks = importlib.import_module("ultralytics.nn.tasks")
    return lambda name: tasks.DetectionModel(name, ch=3, nc=3, verbose=False)


def total(outputs: Any) -> Tensor:
    """Sum the squares of all tensors that a network returns."""
    if isinstance(outputs, Tensor):
        return outputs.square().mean() if outputs.requires_grad else torch.zeros(())
    values = outputs.values() if isinstance(outputs, dict) else outputs
    return torch.stack([total(value) for value in values]).sum()


X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", COUNTS)
def test_every_block_that_cuts_its_channels_is_one_split(name: str, build: Any, read: Any) -> None:
    model = build(name)
    modules = dict(model.named_modules())
    blocks = Counter(type(module).__name__ for module in modules.values())
    assert {kind: blocks[kind] for kind in CUTTING if blocks[kind]} == COUNTS[name]  # as in its file

    graph, owners = read(model, X, total)
    splits = [split for split in Branches(graph).splits if split.kind == "parallel"]
    assert all(sorted(split.labels) == ["bypass", "dense"] for split in splits)
    assert Counter(type(modules[owners[split.merge].module]).__name__ for split in splits) == COUNTS[name]


@pytest.mark.parametrize("name", STAGES)
def test_the_stages_of_the_backbone_are_cut_without_being_named(name: str, build: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cut = gl.cspify(build(name), seed=0)
    stages = [path for path, module in cut.named_modules() if isinstance(module, CspStage)]
    assert stages == [f"model.{row}" for row in STAGES[name]]
    total(cut.train()(X)).backward()
    inside = tuple(f"{path}." for path in stages)
    weights = {path: p.grad for path, p in cut.named_parameters() if path.startswith(inside)}
    assert all(gradient is not None for gradient in weights.values())


@pytest.mark.parametrize("name", ["yolov5n.yaml", "yolov8n.yaml"])
def test_a_cut_detector_is_captured_exactly(name: str, build: Any) -> None:
    torch.manual_seed(0)
    cut = gl.cspify(build(name), seed=0).double()

    def step(model: nn.Module, batch: Tensor) -> Tensor:
        return total(model(batch))

    recording = gl.capture(cut, [torch.rand(4, 3, 64, 64).double()], step=step, costs=False, sites="forks")
    sums = [index for index, group in enumerate(recording.plan.groups) if group.total is not None]
    assert sums
    assert max(recording.dry_errors[index] for index in sums) == 0
    assert max(recording.projected_errors[index].max() for index in sums) < 1e-11


@pytest.mark.parametrize("name", COUNTS)
def test_the_page_has_the_number_of_splits_and_the_stages(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "csp.md").read_text(encoding="utf-8")
    blocks = ", ".join(f"{kind} {count}" for kind, count in COUNTS[name].items()) or "none"
    stages = ", ".join(f"`model.{row}`" for row in STAGES.get(name, [])) or "none"
    assert f"| `{name}` | {blocks} | {sum(COUNTS[name].values())} | {stages} |" in page
