"""Targets that do not fit: one line each, from every library; images without an object are no fault."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import gradlens as gl
from gradlens.errors import GradlensError
from gradlens.models.sources.steps import detection_batch
from gradlens.studies.steps import detection_step
from tests.detectors import small_fcos

SIZE = 32
BOX = [4.0, 4.0, 20.0, 24.0]


def batch(count: int = 4, **values: Any) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """Return images with one object each; the last target has other values."""
    images = list(torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    targets: list[dict[str, Any]] = [
        {"boxes": torch.tensor([BOX]), "labels": torch.tensor([3])} for _ in images
    ]
    targets[-1] |= values
    return images, targets


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "outside": ({"boxes": torch.tensor([[4.0, 4, 20, 40]])}, r"targets\[3\]: box 0 .* outside of its image of 32 x 32"),
    "inverted": ({"boxes": torch.tensor([[20.0, 24, 4, 4]])}, "without a positive width and height"),
    "not a number": ({"boxes": torch.tensor([[float("nan"), 4, 20, 24]])}, "without a positive width and height"),
    "no tensor": ({"boxes": [BOX]}, r"targets\[3\] has no tensor boxes"),
    "two labels": ({"labels": torch.tensor([3, 4])}, r"has boxes \[1, 4\] and labels \[2\]"),
    "fractions": ({"labels": torch.tensor([3.0])}, "has labels of torch.float32"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_targets_are_checked_before_a_library_sees_them(case: str) -> None:
    values, message = BAD[case]
    with pytest.raises(GradlensError, match=message) as raised:
        detection_batch(torch.nn.Linear(1, 1), batch(**values))
    assert "\n" not in str(raised.value)


def test_one_target_is_needed_for_each_image_and_other_entries_are_kept() -> None:
    images, targets = batch(image_id=7)
    with pytest.raises(GradlensError, match="4 images and 3 targets"):
        detection_batch(torch.nn.Linear(1, 1), (images, targets[:3]))
    assert detection_batch(torch.nn.Linear(1, 1), (images, targets))[1][-1]["image_id"] == 7


def test_a_class_that_a_detector_of_the_user_lacks_is_named() -> None:
    with pytest.raises(GradlensError, match=r"targets\[3\] has class 4, and FCOS has the classes 0 to 3"):
        detection_step(small_fcos(classes=3).train(), batch(labels=torch.tensor([4])))


def test_a_batch_without_any_object_has_the_gradient_of_the_background_alone() -> None:
    images, targets = batch()
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    recording = gl.capture(small_fcos(), [(images, [empty] * len(targets))], costs=False)
    boxes, classes = (recording.of_loss(name) for name in ("bbox_regression", "classification"))
    assert not any(boxes.energies[signal.number].any() for signal in boxes.signals)
    for signal in recording.signals:
        torch.testing.assert_close(
            torch.tensor(recording.energies[signal.number]), torch.tensor(classes.energies[signal.number])
        )
    assert max(recording.dry_errors.values()) == 0
