"""Samples from a COCO file, scaled to one square size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gradlens.catalogue.datasets import DETECTION, NARROW
from gradlens.data.coco import Box, Picture, read_coco
from gradlens.data.images import MODES, UNREADABLE, eight_bit, unreadable
from gradlens.data.request import Request
from gradlens.data.samples import Samples
from gradlens.errors import GradlensError

GREY = 0.5
"""Value of the border of an image that is not square."""
LEAST = 1.0
"""Least width and height in pixels of a box after scaling."""


def coco_samples(request: Request, skip_bad: bool) -> Samples:
    """Return images ``[c, s, s]`` in [0, 1] and targets with ``boxes`` and ``labels``, in an order set by the seed.

    An image keeps its proportions: it is scaled until it fits into the square, and centred on grey. Boxes are scaled
    with it; one that becomes narrower than a pixel is left out. An image may have no boxes.

    Args:
        request: the samples to return; ``data`` is the name of the file.
        skip_bad: replace an unreadable image by the next one in the order.

    Raises:
        GradlensError: bad input, or an image is missing or cannot be read.
    """
    if request.in_chans not in MODES:
        raise GradlensError(f"image files have 1 or 3 channels, not {request.in_chans}; use 1 or 3")
    coco = read_coco(request.data)
    total = len(coco.pictures)
    request.require(total, f"{coco.file} has {total} images")
    images: list[Tensor] = []
    targets: list[dict[str, Tensor]] = []
    skipped: list[str] = []
    narrow = 0
    before = request.first if skip_bad else 0  # read too, so that skipped files do not move the samples
    for index in request.order(total)[request.first - before :]:
        if len(images) == before + request.samples:
            break
        try:
            image, target = _sample(coco.pictures[index], request)
        except UNREADABLE as error:
            if not skip_bad:
                raise unreadable(coco.pictures[index].path, error) from error
            skipped.append(coco.pictures[index].path.name)
            continue
        images.append(image)
        targets.append(target)
        narrow += (len(coco.pictures[index].boxes) - len(target["labels"])) * (len(images) > before)
    if len(images) < before + request.samples:
        bad = len(skipped)
        request.require(total - bad, f"{coco.file} has {total} images, {bad} of them unreadable")
    left_out = {**coco.left_out, **({NARROW: narrow} if narrow else {})}
    return Samples(
        images[before:], targets[before:], coco.class_names, total, tuple(skipped), DETECTION, left_out
    )


def _sample(picture: Picture, request: Request) -> tuple[Tensor, dict[str, Tensor]]:
    side, mode = request.image_size, MODES[request.in_chans]
    with Image.open(picture.path) as file:
        image = eight_bit(file).convert(mode)
    scale = side / max(image.size)
    width, height = (max(1, round(scale * length)) for length in image.size)
    left, top = (side - width) // 2, (side - height) // 2
    values = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255
    canvas = np.full((side, side, request.in_chans), GREY, np.float32)
    canvas[top : top + height, left : left + width] = values.reshape(height, width, request.in_chans)
    scales = (width / image.width, height / image.height)
    target = _target(picture.boxes, scales, (left, top), (width, height))
    return torch.from_numpy(canvas.transpose(2, 0, 1).copy()), target


def _target(
    boxes: Sequence[Box], scales: tuple[float, float], corner: tuple[int, int], size: tuple[int, int]
) -> dict[str, Tensor]:
    """Return the boxes in the pixels of the square, cut at the edges of the image; those below a pixel are left out."""
    scaled, labels = [], []
    for (x0, y0, x1, y1), label in boxes:
        left, right = (min(x * scales[0], size[0]) + corner[0] for x in (x0, x1))
        top, bottom = (min(y * scales[1], size[1]) + corner[1] for y in (y0, y1))
        if right - left >= LEAST and bottom - top >= LEAST:
            scaled.append((left, top, right, bottom))
            labels.append(label)
    return {
        "boxes": torch.tensor(scaled, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
    }
