"""Batches in YOLOv5's form: rows of targets with the number of the image in column 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradlens as gl
from gradlens.hooks.cutting import first_samples
from gradlens.hooks.nesting import tensors_of
from gradlens.hooks.samples import batch_size

KEPT = 2


def yolo_rows(numbers: list[int]) -> Tensor:
    """Return targets of YOLOv5: image, class, and centre and size of the box as shares of the image."""
    rows = torch.rand(len(numbers), 6, generator=torch.Generator().manual_seed(len(numbers)))
    rows[:, 0], rows[:, 1] = torch.tensor(numbers, dtype=torch.float32), torch.arange(len(numbers)) % 3
    return rows


@pytest.mark.parametrize("n", [4, 6, 8])
@pytest.mark.parametrize("boxes", [0, 1, 4, 5, 6, 8, 20])
@pytest.mark.parametrize("pack", ["tuple", "list", "dict", "with paths", "nested"])
def test_targets_of_yolov5_are_cut_by_the_number_of_the_image(n: int, boxes: int, pack: str) -> None:
    images, rows = torch.rand(n, 3, 16, 16), yolo_rows(sorted((3 * i) % n for i in range(boxes)))
    batch: Any = {
        "tuple": (images, rows), "list": [images, rows], "dict": {"img": images, "targets": rows},
        "with paths": (images, rows, tuple(f"{i}.png" for i in range(n)), [None] * n), "nested": [(images, rows)],
    }[pack]  # fmt: skip
    assert batch_size(batch) == n
    first, few = tensors_of(first_samples(batch, KEPT, n))
    torch.testing.assert_close(first, images[:KEPT])
    torch.testing.assert_close(few, rows[rows[:, 0] < KEPT])


@pytest.mark.parametrize("column", ["shares", "measured", "one class"])
def test_six_numbers_per_image_are_no_targets_of_yolov5(column: str) -> None:
    images, rows = torch.rand(8, 3, 16, 16), torch.rand(8, 6)
    if column == "measured":
        rows[:, 0] = torch.arange(8) % 3
    if column == "one class":
        rows[:, :2] = 0
    few: Any = first_samples((images, rows), KEPT, 8)
    torch.testing.assert_close(few[1], rows[:KEPT])


def test_a_detector_with_targets_of_yolov5_is_captured_exactly() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.ReLU(), nn.Conv2d(4, 6, 1))
    images, rows = torch.rand(6, 3, 16, 16), yolo_rows([0, 0, 1, 1, 2, 3, 4, 4, 5])

    def step(model: nn.Module, batch: Any) -> Tensor:
        pixels, targets = batch
        image, x, y = (*(targets[:, :1].long().T), *(targets[:, 2:4] * 4).long().clamp(max=3).T)
        return (model(pixels)[image, :, y, x] - targets).square().sum()

    recording = gl.capture(net, [(images, rows)], step=step, costs=False)
    assert recording.n == 6
    assert recording.provenance.dry_samples > 0
    grams = [recording.grams[signal.number][0] for signal in recording.signals]
    hidden = net[:2](images).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(step(net[2], (hidden, rows)), [hidden])
    outputs = len(images) * (gradient * (hidden > 0)).flatten(1).double()  # of the first convolution
    np.testing.assert_allclose(grams[0], (outputs @ outputs.T).numpy(), rtol=1e-5, atol=1e-7)
    assert all(signal.sampled for signal in recording.signals)
