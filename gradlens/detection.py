"""What the detectors of torchvision are trained on and return: checks of boxes and classes, and their losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from gradlens.devices import beside
from gradlens.errors import GradlensError
from gradlens.losses import contents
from gradlens.signatures import parameters_of

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


def is_detector(model: nn.Module) -> bool:
    """Return whether a model takes images and, in train mode, targets, as the detectors of torchvision do."""
    return list(parameters_of(model))[:2] == ["images", "targets"]


def check_targets(model: nn.Module, batch: object) -> None:
    """Check the batch of a detector.

    Raises:
        GradlensError: there is not one target per image, or one lacks boxes or labels, has a box that is outside of its
            image or has no size, or a class that the detector does not have.
    """
    name = type(model).__name__
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    images, targets = cast(tuple[Any, Any], batch) if pair else (cast(Any, batch), None)
    if not isinstance(targets, (list, tuple)) or not all(isinstance(target, Mapping) for target in targets):
        raise GradlensError(f"{name} computes its losses from targets, and this batch has none; {FORM}")
    check_boxes(images, targets)
    classes = _classes(model)
    for index, target in enumerate(targets):
        _check_labels(f"targets[{index}]", target["labels"], classes, name)


def _check_labels(name: str, labels: Tensor, classes: tuple[int, int] | None, model: str) -> None:
    if classes is None or not len(labels):
        return
    first, count = classes
    wrong = [label for label in labels.tolist() if not first <= label < count]
    if wrong:
        background = ", because 0 is the background" if first else ""
        raise GradlensError(
            f"{name} has class {wrong[0]}, and {model} has the classes {first} to {count - 1}{background}; make the "
            "network with num_classes = largest class + 1"
        )


def _classes(model: nn.Module) -> tuple[int, int] | None:
    """Return the first class and the number of classes of a detector; None if it does not say."""
    regions = next((module for name, module in model.named_modules() if name == "roi_heads"), None)
    scores = getattr(getattr(regions, "box_predictor", None), "cls_score", None)
    if isinstance(scores, nn.Linear):
        return 1, scores.out_features
    columns = [vars(module)["num_columns"] for module in model.modules() if "num_columns" in vars(module)]
    if "SSD" in type(model).__name__ and columns:
        return 1, max(columns)  # the scores, not the four numbers of a box
    counts = [vars(module)["num_classes"] for module in model.modules() if "num_classes" in vars(module)]
    if counts and isinstance(counts[0], int):
        return 0, counts[0]
    return None


def losses_in(output: object) -> Mapping[str, Tensor] | None:
    """Return an output if it is a mapping of losses: scalars by name."""
    if not isinstance(output, Mapping) or not output:
        return None
    scalars = all(isinstance(value, Tensor) and value.dim() == 0 for value in output.values())
    return output if scalars else None


def detector_losses(model: nn.Module, batch: object) -> Mapping[str, Tensor]:
    """Return the losses that a detector computes.

    Raises:
        GradlensError: the targets do not fit it, or it returns something else.
    """
    check_targets(model, batch)
    images, targets = cast(tuple[Any, Any], batch)
    output = model(beside(model, list(images)), beside(model, list(targets)))
    losses = losses_in(output)
    if losses is None:
        raise GradlensError(
            f"{type(model).__name__} returns a {type(output).__name__}{contents(output)} in train mode, not a "
            "mapping of losses; give `step=lambda model, batch: your_loss(model(*batch))`"
        )
    return losses
