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
    (centre, sides), (other_centre, other_sides) = _parts(boxes), _parts(others)
    low, high = centre - sides / 2, centre + sides / 2
    other_low, other_high = other_centre - other_sides / 2, other_centre + other_sides / 2
    shared = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0)
    intersection = shared.prod(-1)
    union = sides.prod(-1) + other_sides.prod(-1) - intersection
    iou = intersection / (union + EPS**2)
    if kind == "iou":
        return iou
    around = torch.maximum(high, other_high) - torch.minimum(low, other_low)
    if kind == "giou":
        area = around.prod(-1)
        return iou - (area - union) / (area + EPS**2)
    distance = (centre - other_centre).square().sum(-1)
    diou = iou - distance / (around.square().sum(-1) + EPS**2)
    return diou if kind == "diou" else diou - _of_ratios(sides, other_sides, iou)


def _parts(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centres and the sides of boxes."""
    centre, sides = boxes.split(2, -1)
    return centre, sides


def _of_ratios(sides: Tensor, other_sides: Tensor, iou: Tensor) -> Tensor:
    """Return CIoU's penalty α v of different ratios of width and height."""
    angles = [torch.atan2(*each.unbind(-1)) for each in (sides, other_sides)]
    ratios = 4 / math.pi**2 * (angles[0] - angles[1]).square()
    with torch.no_grad():
        alpha = ratios / (1 - iou + ratios + EPS)
    return alpha * ratios
