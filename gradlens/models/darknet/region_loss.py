"""The loss of a ``[region]`` layer."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from gradlens.models.darknet.boxes import overlap
from gradlens.models.darknet.heads import DetectionHead
from gradlens.models.darknet.responsible import Pairs, best_overlaps, by_shape, shape_overlaps
from gradlens.models.darknet.sections import Region
from gradlens.models.darknet.truths import Truths


def region_loss(head: DetectionHead, section: Region, raw: Tensor, truths: Truths) -> dict[str, Tensor]:
    r"""Return the losses of YOLOv2, summed over the images (Redmon & Farhadi 2017, arXiv 1612.08242, section 2).

    Box of the anchor with size (a, b) cells at cell (i, j) of a map of w × h cells: x = (i + σ(x')) / w, y likewise,
    width = a exp(w') / w, height likewise. Responsible for an object, at the cell of its centre: the anchor whose
    shape (without ``bias_match``: whose box's shape) overlaps it most; of several objects the last.

    - ``box``: of responsible anchors ``coord_scale`` / 2 · [(x* − σ(x'))² + (y* − σ(y'))² + (w* − w')² + (h* − h')²],
      with * the values that give the object's box.
    - ``objectness``: ``object_scale`` / 2 · (t − σ(o))² of responsible anchors, t = 1 or with ``rescore`` their IoU;
      of others ``noobject_scale`` / 2 · σ(o)², or nothing if their IoU with an object is above ``thresh``.
    - ``class``: of responsible anchors ``class_scale`` · cross-entropy, or Σ (y − p)²/2 without ``softmax``.

    Darknet writes deltas, *minus* the gradient, at the layer's input; they equal minus the gradient of these losses.
    Its extra term of the first 12 800 images, which draws all boxes to their anchors, is not included.

    Args:
        head: the layer.
        section: its options.
        raw: ``[n, anchors (5 + classes), h, w]``, its input.
        truths: the objects of the batch.

    Returns:
        Scalars ``box``, ``objectness``, ``class``.
    """
    values = head.by_anchor(raw)
    with torch.no_grad():
        boxes = _boxes(section, values)
        best, _ = best_overlaps(boxes, truths)
        pairs = _responsible(section, boxes, truths)
        reached = overlap(boxes[pairs.cells], truths.boxes[pairs.truth])
    objectness = _objectness_loss(section, pairs, best, values, reached)
    pairs, truths, present = pairs.filled(truths)
    centres, sizes, _, classes = pairs.of(values).split([2, 2, 1, section.classes], dim=1)
    return {
        "box": section.coord_scale
        * present
        * _box_loss(section, pairs, centres, sizes, truths, _cells(values)),
        "objectness": objectness,
        "class": section.class_scale * present * _class_loss(section, classes, truths.classes[pairs.truth]),
    }


def _cells(values: Tensor) -> Tensor:
    return values.new_tensor([values.shape[4], values.shape[3]])


def _boxes(section: Region, values: Tensor) -> Tensor:
    """Return the boxes as shares of the image, ``[n, anchors, h, w, 4]``."""
    values, (height, width) = values.movedim(2, -1), values.shape[3:]
    columns = torch.arange(width, device=values.device).expand(height, width)
    rows = torch.arange(height, device=values.device)[:, None].expand(height, width)
    anchors = values.new_tensor(section.anchors)[:, None, None]
    centres = torch.stack([columns, rows], dim=-1) + values[..., :2].sigmoid()
    return torch.cat([centres, values[..., 2:4].exp() * anchors], dim=-1) / values.new_tensor(
        [width, height] * 2
    )


def _responsible(section: Region, boxes: Tensor, truths: Truths) -> Pairs:
    height, width = boxes.shape[2:4]
    every = by_shape(truths, torch.ones_like(truths.boxes[:, :1], dtype=torch.bool), height, width)
    if section.bias_match:
        sizes = boxes.new_tensor(section.anchors) / boxes.new_tensor([width, height])
    else:
        sizes = boxes[every.image, :, every.row, every.column, 2:]  # [t, anchors, 2]
    overlaps = shape_overlaps(truths.boxes[:, 2:], sizes)
    return Pairs(every.image, overlaps.argmax(1), every.row, every.column, every.truth).last()


def _box_loss(
    section: Region, pairs: Pairs, centres: Tensor, sizes: Tensor, truths: Truths, cells: Tensor
) -> Tensor:
    targets, anchors = truths.boxes[pairs.truth], cells.new_tensor(section.anchors)[pairs.anchor]
    positions = targets[:, :2] * cells - torch.stack([pairs.column, pairs.row], dim=1)
    of_sizes = ((targets[:, 2:] * cells / anchors).log() - sizes).square()
    return ((positions - centres.sigmoid()).square() + of_sizes).sum() / 2


def _class_loss(section: Region, values: Tensor, classes: Tensor) -> Tensor:
    if section.softmax:
        return functional.cross_entropy(values, classes, reduction="sum")
    return (functional.one_hot(classes, section.classes) - values).square().sum() / 2


def _objectness_loss(section: Region, pairs: Pairs, best: Tensor, values: Tensor, reached: Tensor) -> Tensor:
    factors = section.noobject_scale * (best <= section.thresh).to(best.dtype)
    targets = torch.zeros_like(best)
    factors[pairs.cells] = section.object_scale
    targets[pairs.cells] = reached if section.rescore else 1.0
    return (factors * (targets - values[:, :, 4].sigmoid()).square()).sum() / 2
