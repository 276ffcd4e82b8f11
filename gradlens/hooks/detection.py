"""Checks of what a detector of torchvision is trained on, and of what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.signatures import parameters_of
from gradlens.targets import FORM, check_boxes


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
