"""Loss and quality of a network on held-out samples: accuracy, or the average precision of a detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradlens.data.batches import Batch
from gradlens.libraries import require
from gradlens.losses import total
from gradlens.models.sgd import Step
from gradlens.randomness import seeded

PACKAGES = ("torchmetrics", "pycocotools")
"""What the average precision is computed with."""
PREDICTED = {"boxes", "labels", "scores"}
"""What a detector predicts of an image, as in torchvision."""
UNPREDICTED = (TypeError, AttributeError, ValueError, RuntimeError)
"""Exceptions of a network that does not take a list of images."""
NAN = float("nan")


class Score(NamedTuple):
    """Mean loss on held-out samples, and accuracy or average precision; NaN if it was not measured."""

    loss: float
    accuracy: float = NAN
    average_precision: float = NAN


def score(model: nn.Module, batches: Sequence[Batch], step: Step | None = None) -> Score:
    """Return the score in eval mode; the model's mode is restored.

    Without a step, the loss is the cross entropy, and accuracy is measured. With a step, as for detectors, the loss is
    that of the step, and the average precision is measured if the model returns boxes, labels and scores for a list of
    images, as torchvision's detectors do in eval mode; other detectors have a loss only.

    Raises:
        GradlensError: a package that computes the average precision is not installed.
    """
    with _modes_kept(model), torch.no_grad():
        model.eval()
        if step is None:
            return _classified(model, batches)
        precision = average_precision(model, batches)
        _train_containers(model)
        with seeded(0):  # detectors sample among their proposals
            losses = [(float(total(step(model, batch))), len(batch[0])) for batch in batches]
    samples = sum(count for _, count in losses)
    return Score(sum(loss * count for loss, count in losses) / samples, average_precision=precision)


def average_precision(model: nn.Module, batches: Sequence[Batch]) -> float:
    """Return the mean average precision of a detector in eval mode; NaN if it predicts no boxes.

    Mean over classes and over the thresholds 0.50, 0.55, ... 0.95 of the intersection over union, as for COCO (Lin et
    al. 2014, arXiv:1405.0312), computed by torchmetrics with pycocotools.

    Args:
        model: in eval mode; returns a list of dicts with ``boxes`` ``[k, 4]``, ``labels`` and ``scores`` ``[k]``.
        batches: pairs of a list of images and a list of targets.

    Raises:
        GradlensError: torchmetrics or pycocotools is not installed.
    """
    if not batches or _predictions(model, batches[0]) is None:
        return NAN
    check_evaluation()
    from torchmetrics.detection import MeanAveragePrecision  # slow to import, and optional

    metric = MeanAveragePrecision()
    metric.warn_on_many_detections = False
    for images, targets in batches:
        metric.update(model(images), [{name: t[name] for name in ("boxes", "labels")} for t in targets])
    value = float(metric.compute()["map"])
    return value if value >= 0 else NAN  # -1 if there are no boxes


def check_evaluation() -> None:
    """Check that the packages that compute the average precision are installed.

    Raises:
        GradlensError: one is not; the message has the command that installs them.
    """
    require("the average precision of a detector", PACKAGES, otherwise="leave out evaluate=True")


def _classified(model: nn.Module, batches: Sequence[Batch]) -> Score:
    losses, correct, count = 0.0, 0, 0
    for images, targets in batches:
        output = model(images)
        losses += float(functional.cross_entropy(output, targets, reduction="sum"))
        correct += int((output.argmax(dim=1) == targets).sum())
        count += len(targets)
    return Score(losses / count, correct / count)


def _predictions(model: nn.Module, batch: Any) -> list[Mapping[str, Tensor]] | None:
    """Return what the model predicts of a batch; None if it does not take a list of images, or predicts no boxes."""
    try:
        output = model(batch[0])
    except UNPREDICTED:
        return None
    if not isinstance(output, list) or len(output) != len(batch[0]):
        return None
    fits = all(isinstance(item, Mapping) and set(item) >= PREDICTED for item in output)
    return output if fits else None


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _train_containers(model: nn.Module) -> None:
    """Set train mode where losses are computed, and keep eval mode in layers such as normalisations and dropout.

    Detectors return their losses in train mode only. A normalisation uses its running statistics nevertheless.
    """
    for module in model.modules():
        module.training = module is model or next(module.children(), None) is not None
