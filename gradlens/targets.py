"""What the target of an image is for a detector: boxes and classes as those of torchvision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradlens.errors import GradlensError

FORM = (
    'a batch is (images, targets) with one target per image: {"boxes": [k, 4] as x1, y1, x2, y2 in pixels, "labels": '
    "[k] from 1}"
)


def check_boxes(images: Sequence[Tensor], targets: Sequence[Mapping[str, Any]]) -> None:
    """Check that there is one target per image, with boxes that lie in it and have a width and a height.

    Raises:
        GradlensError: there is not; the message names the target and the box.
    """
    if len(images) != len(targets):
        raise GradlensError(f"there are {len(images)} images and {len(targets)} targets; {FORM}")
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        check_target(f"targets[{index}]", image, target)


def check_target(name: str, image: Tensor, target: Mapping[str, Any]) -> None:
    """Check the boxes and the labels of an image.

    Args:
        name: of the target in messages.
        image: ``[c, h, w]``.
        target: ``boxes`` ``[k, 4]`` (x1, y1, x2, y2 in pixels) and ``labels`` ``[k]``; k may be 0.

    Raises:
        GradlensError: one of both is missing or has another form, or a box is outside of the image or has no size.
    """
    missing = [key for key in ("boxes", "labels") if not isinstance(target.get(key), Tensor)]
    if missing:
        raise GradlensError(
            f"{name} has no tensor {' and no tensor '.join(missing)}; an image without an object has boxes "
            "torch.zeros(0, 4) and labels torch.zeros(0, dtype=torch.int64)"
        )
    boxes, labels = target["boxes"], target["labels"]
    if boxes.dim() != 2 or boxes.shape[1] != 4 or len(labels) != len(boxes):
        raise GradlensError(f"{name} has boxes {list(boxes.shape)} and labels {list(labels.shape)}; {FORM}")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise GradlensError(f"{name} has labels of {labels.dtype}; give the numbers of classes as int64")
    _check_boxes(name, image, boxes)


def _check_boxes(name: str, image: Tensor, boxes: Tensor) -> None:
    height, width = image.shape[-2:]
    limits = boxes.new_tensor([width, height, width, height])
    for number in range(len(boxes)):
        box = boxes[number]
        spelled = ", ".join(f"{float(value):g}" for value in box)
        if not bool((box[2:] > box[:2]).all()):
            raise GradlensError(
                f"{name}: box {number} is [{spelled}], without a positive width and height; give x1 < x2 and y1 < y2"
            )
        if bool((box < 0).any()) or bool((box > limits).any()):
            raise GradlensError(
                f"{name}: box {number} is [{spelled}], outside of its image of {width} x {height} pixels; clip it, or "
                "scale it with the image"
            )
