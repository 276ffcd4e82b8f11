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
    boxes = _boxes(section, values)
    with torch.no_grad():
        best, _ = best_overlaps(boxes.detach(), truths)
        pairs = _responsible(section, boxes.detach(), truths)
        reached = overlap(pairs.of(boxes.detach()), truths.boxes[pairs.truth])
    objectness = _objectness_loss(section, pairs, best, values, reached)
    pairs, truths, present = pairs.filled(truths)
    objects, targets = pairs.of(values), truths.boxes[pairs.truth]
    classes = truths.classes[pairs.truth]
    if section.softmax:
        of_classes = functional.cross_entropy(objects[:, 5:], classes, reduction="sum")
    else:
        of_classes = (functional.one_hot(classes, section.classes) - objects[:, 5:]).square().sum() / 2
    return {
        "box": section.coord_scale * present * _box_loss(section, pairs, objects, targets, values),
        "objectness": objectness,
        "class": section.class_scale * present * of_classes,
    }


def _cells(values: Tensor) -> Tensor:
    return values.new_tensor([values.shape[4], values.shape[3]])


def _boxes(section: Region, values: Tensor) -> Tensor:
    """Return the boxes ``[n, anchors, 4, h, w]`` as shares of the image."""
    height, width = values.shape[3:]
    columns = torch.arange(width, device=values.device).expand(height, width)
    rows = torch.arange(height, device=values.device)[:, None].expand(height, width)
    cells = _cells(values)[:, None, None]
    anchors = values.new_tensor(section.anchors)[:, :, None, None]
    centres = torch.stack([columns, rows]) + values[:, :, :2].sigmoid()
    return torch.cat([centres / cells, values[:, :, 2:4].exp() * anchors / cells], dim=2)


def _responsible(section: Region, boxes: Tensor, truths: Truths) -> Pairs:
    height, width = boxes.shape[3:]
    every = by_shape(truths, torch.ones_like(truths.boxes[:, :1], dtype=torch.bool), height, width)
    if section.bias_match:
        overlaps = shape_overlaps(
            truths.boxes[:, 2:], boxes.new_tensor(section.anchors) / boxes.new_tensor([width, height])
        )
    else:
        sizes = boxes[every.image, :, 2:, every.row, every.column]  # [t, anchors, 2]
        centred = [
            torch.cat([torch.zeros_like(each), each], -1) for each in (truths.boxes[:, None, 2:], sizes)
        ]
        overlaps = overlap(*centred)
    pairs = Pairs(every.image, overlaps.argmax(1), every.row, every.column, every.truth)
    return pairs.last()


def _box_loss(section: Region, pairs: Pairs, objects: Tensor, targets: Tensor, values: Tensor) -> Tensor:
    cells = _cells(values)
    centres = targets[:, :2] * cells - torch.stack([pairs.column, pairs.row], dim=1)
    sizes = (targets[:, 2:] * cells / values.new_tensor(section.anchors)[pairs.anchor]).log()
    differences = torch.cat([centres - objects[:, :2].sigmoid(), sizes - objects[:, 2:4]], dim=1)
    return differences.square().sum() / 2


def _objectness_loss(section: Region, pairs: Pairs, best: Tensor, values: Tensor, reached: Tensor) -> Tensor:
    factors = section.noobject_scale * (best <= section.thresh).to(best.dtype)
    targets = torch.zeros_like(best)
    factors[pairs.cells] = section.object_scale
    targets[pairs.cells] = reached if section.rescore else 1.0
    return (factors * (targets - values[:, :, 4].sigmoid()).square()).sum() / 2
