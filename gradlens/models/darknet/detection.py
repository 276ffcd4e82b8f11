"""The losses of a darknet detector for a batch, which are also its step of a capture or a training."""

from __future__ import annotations

from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.darknet.heads import DetectionHead
from gradlens.models.darknet.network import DarknetModel
from gradlens.models.darknet.region_loss import region_loss
from gradlens.models.darknet.sections import Region
from gradlens.models.darknet.truths import Truths, images_and_targets, truths_of
from gradlens.models.darknet.yolo_loss import yolo_loss


def detection_losses(model: nn.Module, batch: object) -> dict[str, Tensor]:
    """Return the losses of a detector for a batch, summed over its scales, mean over the images.

    Args:
        model: a network of a ``.cfg`` with [yolo] or [region] layers.
        batch: images ``[n, c, h, w]`` or a list of ``[c, h, w]`` of one size, and for each image a dict with
            ``boxes`` ``[k, 4]`` (left, top, right, bottom in pixels) and ``labels`` ``[k]`` from 1; k may be 0.

    Returns:
        Scalars ``box``, ``objectness`` and ``class`` (see ``yolo_loss`` and ``region_loss``); their sum is the loss.

    Raises:
        GradlensError: the model is no such network, or the batch has another form, a box outside of its image or a
            label out of range.
    """
    if not isinstance(model, DarknetModel) or not model.heads:
        raise GradlensError(
            f"{type(model).__name__} has no [yolo] or [region] layer; use a network of a darknet .cfg that has one"
        )
    images, targets = images_and_targets(batch)
    images = images.to(next(model.parameters()))
    heads = model.heads
    truths = truths_of(targets, images, min(head.section.classes for head in heads))
    outputs = model(images)
    size = images.new_tensor([images.shape[3], images.shape[2]])
    losses = [_losses(head, raw, truths, size) for head, raw in zip(heads, outputs, strict=True)]
    return {name: _sum([each[name] for each in losses]) / len(images) for name in losses[0]}


def _losses(head: DetectionHead, raw: Tensor, truths: Truths, size: Tensor) -> dict[str, Tensor]:
    section = head.section
    if isinstance(section, Region):
        return region_loss(head, section, raw, truths)
    return yolo_loss(head, section, raw, truths, size)


def _sum(values: list[Tensor]) -> Tensor:
    """Return the sum of scalars."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total
