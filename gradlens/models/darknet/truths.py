"""The objects of a batch, checked: boxes in units of the image, classes from 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradlens.errors import GradlensError

FORM = (
    "give (images, targets): images a tensor [n, c, h, w] or a list of [c, h, w] of one size, targets a list with "
    "{'boxes': [k, 4], 'labels': [k]} per image"
)


@dataclass(frozen=True)
class Truths:
    """All objects of a batch.

    Attributes:
        images: ``[t]``, the image of each object.
        boxes: ``[t, 4]``, centre x, centre y, width and height, as shares of the image's width and height.
        classes: ``[t]``, from 0.
    """

    images: Tensor
    boxes: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)


def images_and_targets(batch: object) -> tuple[Tensor, list[Mapping[str, Any]]]:
    """Return the stacked images ``[n, c, h, w]`` and the targets of a batch of detection.

    Raises:
        GradlensError: the batch has another form, or its images have several sizes.
    """
    if not (isinstance(batch, Sequence) and len(batch) == 2):
        raise GradlensError(f"a batch is a {type(batch).__name__}, not images and targets; {FORM}")
    images, targets = batch
    if isinstance(images, Sequence) and images and all(isinstance(image, Tensor) for image in images):
        sizes = sorted({tuple(image.shape) for image in images})
        if len(sizes) > 1:
            raise GradlensError(
                f"images of {len(sizes)} shapes, such as {list(sizes[0])} and {list(sizes[-1])}, are in one batch; "
                "a darknet network takes images of one size, so resize them or pad them"
            )
        images = torch.stack(list(images))
    if not isinstance(images, Tensor) or images.dim() != 4:
        raise GradlensError(f"the images are no tensor [n, c, h, w]; {FORM}")
    if not isinstance(targets, Sequence) or not all(isinstance(target, Mapping) for target in targets):
        raise GradlensError(f"the targets are a {type(targets).__name__}, not one dict per image; {FORM}")
    if len(targets) != len(images):
        raise GradlensError(f"{len(images)} images have {len(targets)} targets; give one per image")
    return images, list(targets)


def truths_of(targets: Sequence[Mapping[str, Any]], images: Tensor, classes: int) -> Truths:
    """Return the objects of a batch, in the dtype and on the device of the images.

    An image may have no object. A box may reach over the edge of its image, if its centre is inside.

    Args:
        targets: per image ``boxes`` ``[k, 4]``, left, top, right and bottom in pixels, and ``labels`` ``[k]`` from 1.
        images: ``[n, c, h, w]``.
        classes: number of classes, without the background.

    Raises:
        GradlensError: a target has no boxes or labels, a box has no area or is outside of the image, or a label is
            out of range.
    """
    height, width = images.shape[2:]
    all_boxes, all_labels, numbers = [], [], []
    for number, target in enumerate(targets):
        boxes, labels = _boxes_and_labels(number, target)
        boxes = boxes.to(images)
        _check_boxes(number, boxes, height, width)
        _check_labels(number, labels, classes)
        all_boxes.append(boxes)
        all_labels.append(labels.to(images.device) - 1)
        numbers.append(torch.full_like(all_labels[-1], number))
    corners = torch.cat(all_boxes) / images.new_tensor([width, height, width, height])
    boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1)
    return Truths(torch.cat(numbers), boxes, torch.cat(all_labels))


def _boxes_and_labels(number: int, target: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    for key in ("boxes", "labels"):
        if not isinstance(target.get(key), Tensor):
            raise GradlensError(f"the target of image {number} has no tensor {key!r}; {FORM}")
    boxes, labels = target["boxes"], target["labels"]
    if not boxes.numel() and not labels.numel():  # as torch.zeros(0) is often written
        return boxes.reshape(0, 4), labels.reshape(0).long()
    if boxes.dim() != 2 or boxes.shape[1] != 4 or labels.shape != boxes.shape[:1]:
        raise GradlensError(
            f"image {number} has boxes of shape {list(boxes.shape)} and labels of shape {list(labels.shape)}; "
            "they must be [k, 4] and [k]"
        )
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise GradlensError(f"the labels of image {number} are {labels.dtype}; give whole numbers from 1")
    return boxes, labels.long()


def _check_boxes(number: int, boxes: Tensor, height: int, width: int) -> None:
    left, top, right, bottom = boxes.unbind(1)
    centres = ((left + right) / 2, (top + bottom) / 2)
    inside = (centres[0] >= 0) & (centres[0] < width) & (centres[1] >= 0) & (centres[1] < height)
    for wrong, problem in (
        (~boxes.isfinite().all(1), "is not finite"),
        (~((right > left) & (bottom > top)), "has no area; give left, top, right, bottom"),
        (
            ~inside,
            f"has its centre outside of the image of {width}×{height} pixels; give boxes in its pixels",
        ),
    ):
        if bool(wrong.any()):
            index = int(wrong.nonzero()[0])
            values = ", ".join(f"{value:g}" for value in boxes[index].tolist())
            raise GradlensError(f"box {index} of image {number}, ({values}), {problem}")


def _check_labels(number: int, labels: Tensor, classes: int) -> None:
    wrong = (labels < 1) | (labels > classes)
    if bool(wrong.any()):
        index = int(wrong.nonzero()[0])
        raise GradlensError(
            f"label {index} of image {number} is {int(labels[index])}; labels are from 1 to {classes}, "
            "the classes of the network (0 is the background)"
        )
