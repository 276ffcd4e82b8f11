"""Boxes ``[..., 4]`` as centre x, centre y, width, height, and how much two of them overlap."""

from __future__ import annotations

import math

import torch
from torch import Tensor

EPS = 1e-7  # against a division of nothing by nothing


def overlap(boxes: Tensor, others: Tensor, kind: str = "iou") -> Tensor:
    """Return the overlap of pairs of boxes; the leading axes of both are broadcast.

    ``iou``: intersection over union, I / U, in [0, 1].
    ``giou``: IoU − (C − U) / C with C the area of the smallest box around both (Rezatofighi et al. 2019, arXiv
    1902.09630).
    ``diou``: IoU − ρ² / c² with ρ the distance of the centres and c the diagonal of that box (Zheng et al. 2020,
    arXiv 1911.08287, equation 7).
    ``ciou``: DIoU − α v with v = 4/π² (atan w'/h' − atan w/h)² and α = v / (1 − IoU + v), a constant of the gradient
    (the same paper, equations 9 to 11).

    Args:
        boxes: ``[..., 4]``.
        others: ``[..., 4]``.
        kind: one of the four.
    """
    low, high, low_of_others, high_of_others = (*_corners(boxes), *_corners(others))
    sides = (torch.minimum(high, high_of_others) - torch.maximum(low, low_of_others)).clamp(min=0)
    intersection = sides.prod(-1)
    union = boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - intersection
    iou = intersection / (union + EPS**2)
    if kind == "iou":
        return iou
    around = torch.maximum(high, high_of_others) - torch.minimum(low, low_of_others)
    if kind == "giou":
        area = around.prod(-1)
        return iou - (area - union) / (area + EPS**2)
    distance = (boxes[..., :2] - others[..., :2]).square().sum(-1)
    diou = iou - distance / (around.square().sum(-1) + EPS**2)
    return diou if kind == "diou" else diou - _of_ratios(boxes, others, iou)


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2


def _of_ratios(boxes: Tensor, others: Tensor, iou: Tensor) -> Tensor:
    """Return CIoU's penalty α v of different ratios of width and height."""
    angles = [torch.atan2(each[..., 2], each[..., 3]) for each in (boxes, others)]
    ratios = 4 / math.pi**2 * (angles[0] - angles[1]).square()
    with torch.no_grad():
        alpha = ratios / (1 - iou + ratios + EPS)
    return alpha * ratios
