"""Images and boxes of a detector that do not fit each other, in the adapters of libraries that do not check them."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from gradlens.detection import check_boxes
from gradlens.errors import GradlensError
from gradlens.models.sources.steps import detection_batch

IMAGES = [torch.zeros(3, 20, 30)] * 2


def target(*box: float) -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.tensor([box]).reshape(-1, 4),
        "labels": torch.ones(1 if box else 0, dtype=torch.int64),
    }


@pytest.mark.parametrize("box", [(), (0, 0, 30, 20), (29.5, 19.5, 30, 20)], ids=str)
def test_boxes_up_to_the_edges_are_accepted(box: tuple[float, ...]) -> None:
    check_boxes(IMAGES, [target(*box), target()])
    assert len(detection_batch(nn.Linear(1, 1), (IMAGES, [target(*box), target()]))[0]) == 2


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ((0, 0, 30.5, 20), "outside of its image of 30 x 20 pixels"),
        ((0, 0, 20, 30), "outside of its image of 30 x 20 pixels"),
        ((-1, 0, 5, 5), "outside of its image"),
        ((4, 4, 4, 8), "without a positive width and height"),
        ((4, 8, 6, 4), "without a positive width and height"),
        ((float("nan"), 0, 5, 5), "without a positive width and height"),
    ],
    ids=str,
)
def test_a_box_that_does_not_fit_its_image_is_named(box: tuple[float, ...], problem: str) -> None:
    with pytest.raises(GradlensError, match=re.escape(problem)) as raised:
        detection_batch(nn.Linear(1, 1), (IMAGES, [target(), target(*box)]))
    assert str(raised.value).startswith("targets[1]: box 0")


def test_one_target_per_image() -> None:
    with pytest.raises(GradlensError, match="there are 2 images and 1 targets"):
        detection_batch(nn.Linear(1, 1), (IMAGES, [target()]))
