"""Detectors and classifiers of ultralytics by name: their losses, batches and what their import leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles.detection_batches import YAML, batch_of
from oracles.extras import needs

import gradlens as gl
from gradlens.errors import GradlensError, ModelNote
from gradlens.models import load_model
from gradlens.models.naming import source

needs("ultralytics")
pytestmark = [pytest.mark.extra, pytest.mark.filterwarnings("ignore:.*which has the licence")]


def losses_of(model: Any, batch: Any) -> dict[str, torch.Tensor]:
    from gradlens.models.ultralytics_zoo import detection_losses

    return detection_losses(model, batch)


def plain_batch(n: int) -> dict[str, torch.Tensor]:
    """The batch of ``batch_of`` written by hand in the form of the library: shares of 64 pixels, classes from 0."""
    boxes = [[17 / 64, 17 / 64, 26 / 64, 22 / 64], [40 / 64, 30 / 64, 40 / 64, 40 / 64]]
    return {
        "img": torch.stack(batch_of(n)[0]),
        "cls": torch.tensor([[0.0], [2.0]]).repeat(n, 1),
        "bboxes": torch.tensor(boxes).repeat(n, 1),
        "batch_idx": torch.arange(n).repeat_interleave(2).float(),
    }


@pytest.mark.parametrize("name", ["yolov8n.yaml", "yolo26n.yaml"])
def test_losses_are_those_of_the_library_for_each_image(name: str) -> None:
    model: Any = load_model(f"ultralytics:{name}", num_classes=3, image_size=64, seed=0)
    wanted, items = model.loss(plain_batch(4))
    losses = losses_of(model, batch_of(4))
    assert [f"{key}_loss" for key in losses] == list(items)
    assert [float(value.detach()) for value in losses.values()] == pytest.approx(
        (wanted.detach() / 4).tolist(), rel=1e-5
    )


def test_an_image_without_boxes_is_legal() -> None:
    images, targets = batch_of(3)
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    model = load_model("ultralytics:yolov8n.yaml", num_classes=3, image_size=64, seed=0)
    for chosen in ([targets[0], empty, targets[2]], [empty] * 3):
        losses = losses_of(model, (images, chosen))
        assert all(bool(torch.isfinite(value)) for value in losses.values())


@pytest.mark.parametrize(("label", "message"), [(0, "labels are 0 to 3"), (4, "labels are 1 to 4")])
def test_a_class_out_of_range_is_one_clear_line(label: int, message: str) -> None:
    images, targets = batch_of(2)
    targets[0]["labels"][0 if label == 0 else 1] = label
    model = load_model("ultralytics:yolov8n.yaml", num_classes=3, image_size=64, seed=0)
    with pytest.raises(GradlensError, match=message):
        losses_of(model, (images, targets))


def test_images_of_two_sizes_and_a_batch_without_boxes_are_refused() -> None:
    images, targets = batch_of(2)
    model = load_model("ultralytics:yolov8n.yaml", num_classes=3, image_size=64, seed=0)
    with pytest.raises(GradlensError, match="2 sizes"):
        losses_of(model, ([images[0], torch.cat([images[1]] * 2, 1)], targets))
    with pytest.raises(GradlensError, match="learns from boxes"):
        losses_of(model, (torch.stack(images), torch.tensor([1, 2])))


def test_a_size_that_the_strides_do_not_divide_is_refused_with_one_that_works() -> None:
    with pytest.raises(GradlensError, match="use image_size=96"):
        load_model("ultralytics:yolov8n.yaml", image_size=80)


def test_files_of_the_user_are_built(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(YAML)
    model: Any = load_model(f"ultralytics:{file}", num_classes=5, image_size=64, seed=0)
    assert model.model[-1].nc == 5
    assert source(f"ultralytics:{file}").file == str(file)
    assert len(losses_of(model, batch_of(2))) == 3


def test_the_licence_is_told_when_a_model_is_loaded() -> None:
    with pytest.warns(ModelNote, match=r"ultralytics, which has the licence AGPL-3\.0"):
        load_model("ultralytics:yolov8n.yaml", num_classes=3, image_size=64)


def test_misspelt_names_and_other_tasks_are_refused() -> None:
    with pytest.raises(GradlensError, match=r"did you mean .*yolov8n\.yaml"):
        load_model("ultralytics:yolo8n.yaml")
    with pytest.raises(GradlensError, match=r"has no model 'yolov8n-seg\.yaml'"):
        load_model("ultralytics:yolov8n-seg.yaml")


def test_a_detector_is_captured_exactly_and_a_classifier_learns_classes() -> None:
    options: Any = {"seeds": 1, "batches": 1, "throughput": False, "progress": False}
    result = gl.inspect("ultralytics:yolov5n.yaml", data=[batch_of(4)], samples=4, num_classes=3, **options)
    assert (result["exactness"].frame["error"] == 0).all()
    model = load_model("ultralytics:yolov8n-cls.yaml", num_classes=7, image_size=64)
    assert model(torch.rand(2, 3, 64, 64)).shape == (2, 7)


WATCHED = """
import os, sys, socket, warnings
import numpy as np, torch, cv2
def refused(*arguments, **options): raise RuntimeError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refused
def state():
    return [dict(os.environ), torch.get_num_threads(), cv2.getNumThreads(), str(np.get_printoptions()),
            str(torch._tensor_str.PRINT_OPTS), torch.save, list(warnings.filters), torch.get_rng_state().tolist(),
            torch.backends.cudnn.benchmark, torch.get_default_dtype(), sys.excepthook, os.listdir(".")]
from gradlens.models import load_model
load_model("peleenet_small")  # torchvision adds filters of warnings
import torchvision
before = state()
load_model("ultralytics:yolov8n.yaml", num_classes=3, image_size=64, seed=0)
after = state()
print([index for index, (one, two) in enumerate(zip(before, after)) if one != two], os.listdir(os.environ["HOME"]))
"""


def test_loading_asks_no_network_writes_no_settings_and_leaves_switches_as_they_were(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "home")}
    folder = tmp_path / "work"
    for path in (tmp_path / "home", folder):
        path.mkdir()
    environment = {
        **os.environ,
        **home,
        "MPLCONFIGDIR": str(tmp_path),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
    }
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.stdout.strip() == "[] []", ran.stderr[-2000:]
