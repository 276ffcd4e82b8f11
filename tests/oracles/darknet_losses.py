"""The losses of [yolo] and [region], cell by cell and anchor by anchor, in the order of darknet's own loops.

Every loss is a sum of scalars, so each term can be compared with its formula. ``deltas`` are what darknet writes at the
layer's input: minus the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gradlens.models.darknet.sections import Region, Yolo

Box = tuple[Any, Any, Any, Any]  # centre x, centre y, width, height, as shares of the image
Truth = tuple[Box, int]
LOSSES = ("box", "objectness", "class")


def yolo_losses(
    section: Yolo, raw: Tensor, truths: list[list[Truth]], width: int, height: int, *, activated: bool = False
) -> dict[str, Tensor]:
    """Return the losses of all images; ``raw`` is ``[n, anchors (5 + classes), h, w]``."""
    totals = {name: raw.new_zeros(()) for name in LOSSES}
    squares = activated and section.new_coords

    def entropy(value: Tensor, target: float) -> Tensor:
        if squares:
            return (target - value) ** 2 / 2
        p = torch.sigmoid(value)
        return -target * torch.log(p) - (1 - target) * torch.log(1 - p)

    def logistic(value: Tensor) -> Tensor:
        return value if squares else torch.sigmoid(value)

    for image, objects in enumerate(truths):
        cells = _cells(raw[image], len(section.mask))
        owners: dict[tuple[int, int, int], list[int]] = {}
        best = {}
        for at, values in cells.items():
            box = _yolo_box(section, values, at, raw.shape[3], raw.shape[2], width, height, logistic)
            overlaps = [
                float(iou(tuple(float(side.detach()) for side in box), truth)) for truth, _ in objects
            ]
            best[at] = max(overlaps, default=0.0)
            if best[at] > section.truth_thresh:
                owners.setdefault(at, []).append(overlaps.index(best[at]))
        for number, (truth, _) in enumerate(objects):
            for at in _yolo_owners(section, truth, raw.shape[3], raw.shape[2], width, height):
                if number not in owners.setdefault(at, []):
                    owners[at].append(number)
        for at, values in cells.items():
            mine = owners.get(at, [])
            weights = [_weight(section, objects[number][1]) for number in mine]
            totals["objectness"] = totals[
                "objectness"
            ] + section.weight * section.objectness_weight * _objectness(
                section, entropy, values[4], best[at], weights
            )
            if not mine:
                continue
            classes = {objects[number][1] for number in mine}
            box = _yolo_box(section, values, at, raw.shape[3], raw.shape[2], width, height, logistic)
            for number, weight in zip(mine, weights, strict=True):
                loss = _yolo_box_loss(
                    section, values, box, objects[number][0], at, raw, width, height, logistic
                )
                totals["box"] = totals["box"] + section.weight * section.box_weight * weight * loss / len(
                    classes
                )
            for index in range(section.classes):
                y = 1.0 if index in classes else 0.0
                smooth = y * (1 - section.label_smooth_eps) + section.label_smooth_eps / 2
                loss = entropy(values[5 + index], smooth)
                if section.focal:
                    p = logistic(values[5 + index])
                    loss = 0.5 * (1 - p if y else p) ** 2 * loss
                weight = _weight(section, index) if y else 1.0
                totals["class"] = totals["class"] + section.weight * section.class_weight * weight * loss
    return totals


def region_losses(section: Region, raw: Tensor, truths: list[list[Truth]]) -> dict[str, Tensor]:
    """Return the losses of all images; ``raw`` is ``[n, anchors (5 + classes), h, w]``."""
    totals = {name: raw.new_zeros(()) for name in LOSSES}
    height, width = raw.shape[2:]
    for image, objects in enumerate(truths):
        cells = _cells(raw[image], len(section.anchors))
        boxes = {at: _region_box(section, values, at, width, height) for at, values in cells.items()}
        plain = {at: tuple(float(side.detach()) for side in box) for at, box in boxes.items()}
        owner: dict[tuple[int, int, int], int] = {}
        for number, (truth, _) in enumerate(objects):
            i, j = int(truth[0] * width), int(truth[1] * height)
            shapes = [
                (0.0, 0.0, a / width, b / height) if section.bias_match else (0.0, 0.0, *plain[n, j, i][2:])
                for n, (a, b) in enumerate(section.anchors)
            ]
            overlaps = [float(iou(shape, (0.0, 0.0, *truth[2:]))) for shape in shapes]
            owner[overlaps.index(max(overlaps)), j, i] = number
        for at, values in cells.items():
            best = max((float(iou(plain[at], truth)) for truth, _ in objects), default=0.0)
            p = torch.sigmoid(values[4])
            if at not in owner:
                if best <= section.thresh:
                    totals["objectness"] = totals["objectness"] + section.noobject_scale * p**2 / 2
                continue
            truth, label = objects[owner[at]]
            target = float(iou(plain[at], truth)) if section.rescore else 1.0
            totals["objectness"] = totals["objectness"] + section.object_scale * (target - p) ** 2 / 2
            n, j, i = at
            a, b = section.anchors[n]
            differences = (
                truth[0] * width - i - torch.sigmoid(values[0]),
                truth[1] * height - j - torch.sigmoid(values[1]),
                math.log(truth[2] * width / a) - values[2],
                math.log(truth[3] * height / b) - values[3],
            )
            for difference in differences:
                totals["box"] = totals["box"] + section.coord_scale * difference**2 / 2
            if section.softmax:
                chosen = torch.log(torch.exp(values[5 + label]) / torch.exp(values[5:]).sum())
                totals["class"] = totals["class"] - section.class_scale * chosen
            else:
                for index in range(section.classes):
                    difference = float(index == label) - values[5 + index]
                    totals["class"] = totals["class"] + section.class_scale * difference**2 / 2
    return totals


def iou(box: Any, other: Any, kind: str = "iou") -> Any:
    """Return the overlap of two boxes by the formulas of the papers."""
    left, right = _larger(_low(box, 0), _low(other, 0)), _smaller(_high(box, 0), _high(other, 0))
    top, bottom = _larger(_low(box, 1), _low(other, 1)), _smaller(_high(box, 1), _high(other, 1))
    inside = (right - left) * (bottom - top) if right > left and bottom > top else 0.0 * box[2]
    union = box[2] * box[3] + other[2] * other[3] - inside
    value = inside / union
    if kind == "iou":
        return value
    wide = _larger(_high(box, 0), _high(other, 0)) - _smaller(_low(box, 0), _low(other, 0))
    tall = _larger(_high(box, 1), _high(other, 1)) - _smaller(_low(box, 1), _low(other, 1))
    if kind == "giou":
        return value - (wide * tall - union) / (wide * tall)
    diou = value - ((box[0] - other[0]) ** 2 + (box[1] - other[1]) ** 2) / (wide**2 + tall**2)
    if kind == "diou":
        return diou
    v = 4 / math.pi**2 * (math.atan(other[2] / other[3]) - torch.atan(box[2] / box[3])) ** 2
    alpha = v.detach() / (1 - value.detach() + v.detach())
    return diou - alpha * v


def _low(box: Any, axis: int) -> Any:
    return box[axis] - box[axis + 2] / 2


def _high(box: Any, axis: int) -> Any:
    return box[axis] + box[axis + 2] / 2


def _larger(one: Any, other: Any) -> Any:
    return one if one > other else other


def _smaller(one: Any, other: Any) -> Any:
    return one if one < other else other


def _cells(maps: Tensor, anchors: int) -> dict[tuple[int, int, int], Tensor]:
    """Return the values ``[5 + classes]`` of each (anchor, row, column) of an image's maps."""
    size = maps.shape[0] // anchors
    return {
        (n, j, i): maps[n * size : (n + 1) * size, j, i]
        for n in range(anchors)
        for j in range(maps.shape[1])
        for i in range(maps.shape[2])
    }


def _yolo_box(
    section: Yolo, values: Tensor, at: tuple[int, int, int], columns: int, rows: int, width: int, height: int,
    logistic: Any,
) -> Box:  # fmt: skip
    n, j, i = at
    a, b = section.anchors[section.mask[n]]
    s = section.scale_x_y
    x = (i + s * logistic(values[0]) - (s - 1) / 2) / columns
    y = (j + s * logistic(values[1]) - (s - 1) / 2) / rows
    if section.new_coords:
        return x, y, a * (2 * logistic(values[2])) ** 2 / width, b * (2 * logistic(values[3])) ** 2 / height
    return x, y, a * torch.exp(values[2]) / width, b * torch.exp(values[3]) / height


def _region_box(section: Region, values: Tensor, at: tuple[int, int, int], columns: int, rows: int) -> Box:
    n, j, i = at
    a, b = section.anchors[n]
    x, y = (i + torch.sigmoid(values[0])) / columns, (j + torch.sigmoid(values[1])) / rows
    return x, y, a * torch.exp(values[2]) / columns, b * torch.exp(values[3]) / rows


def _yolo_owners(
    section: Yolo, truth: Box, columns: int, rows: int, width: int, height: int
) -> Iterator[tuple[int, int, int]]:
    """Yield the places that are responsible for an object because of its shape."""
    shape = (0.0, 0.0, *truth[2:])
    anchors = [(0.0, 0.0, a / width, b / height) for a, b in section.anchors]
    overlaps = [float(iou(shape, anchor)) for anchor in anchors]
    best = overlaps.index(max(overlaps))
    for n, index in enumerate(section.mask):
        kind = torch.tensor(shape), torch.tensor(anchors[index])
        more = section.iou_thresh < 1 and float(iou(*kind, section.iou_thresh_kind)) > section.iou_thresh
        if index == best or more:
            yield n, int(truth[1] * rows), int(truth[0] * columns)


def _weight(section: Yolo, label: int) -> float:
    return max(section.counts) / section.counts[label] if section.counts else 1.0


def _objectness(section: Yolo, entropy: Any, value: Tensor, best: float, weights: list[float]) -> Any:
    if section.objectness_smooth:
        return entropy(value, best**2 if best > section.ignore_thresh else 0.0)
    if weights:
        return max(weights) * entropy(value, 1.0)
    return 0.0 if best > section.ignore_thresh else entropy(value, 0.0)


def _yolo_box_loss(
    section: Yolo, values: Tensor, box: Box, truth: Box, at: tuple[int, int, int], raw: Tensor, width: int, height: int,
    logistic: Any,
) -> Any:  # fmt: skip
    if section.iou_loss != "mse":
        return 1 - iou(box, truth, section.iou_loss)
    n, j, i = at
    a, b = section.anchors[section.mask[n]]
    s = section.scale_x_y
    centre = truth[0] * raw.shape[3] - i, truth[1] * raw.shape[2] - j
    sizes = truth[2] * width / a, truth[3] * height / b
    total = 0.0
    for axis in range(2):
        if section.new_coords:
            reached = s * logistic(values[axis]) - (s - 1) / 2
            total = total + (centre[axis] - reached) ** 2 / 2
            total = total + (math.sqrt(sizes[axis] / 4) - logistic(values[2 + axis])) ** 2 / 2
        else:
            t, p = (centre[axis] + (s - 1) / 2) / s, torch.sigmoid(values[axis])
            total = total - s * (t * torch.log(p) + (1 - t) * torch.log(1 - p))
            total = total + (math.log(sizes[axis]) - values[2 + axis]) ** 2 / 2
    return (2 - truth[2] * truth[3]) * total
