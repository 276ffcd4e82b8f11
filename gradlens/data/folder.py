"""Samples from image folders with one folder per class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gradlens.data.images import MODES, UNREADABLE, eight_bit, image_classes, unreadable
from gradlens.data.request import Request
from gradlens.data.samples import Samples
from gradlens.errors import GradlensError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as in torchvision


def folder_samples(folder: Path, request: Request, skip_bad: bool) -> Samples:
    """Return images of a folder, resized by their shorter side, cropped at the centre, standardised as ImageNet.

    Args:
        folder: has one folder per class, which may contain further folders.
        request: the samples to return.
        skip_bad: replace an unreadable image by the next one in the order.

    Raises:
        GradlensError: the folder has another layout or too few images, or an image cannot be read.
    """
    if request.in_chans not in MODES:
        raise GradlensError(f"image files have 1 or 3 channels, not {request.in_chans}; use 1 or 3")
    classes, empty = image_classes(folder)
    files = [(path, target) for target, paths in enumerate(classes.values()) for path in paths]
    request.require(len(files), f"{folder} has {len(files)} images")
    samples, skipped = _read(files, request, skip_bad)
    if len(samples) < request.samples:
        request.require(
            len(files) - len(skipped), f"{folder} has {len(files)} images, {len(skipped)} of them unreadable"
        )
    images, targets = zip(*samples, strict=True)
    return Samples(
        torch.stack(images),
        torch.tensor(targets),
        tuple(classes),
        len(files),
        (*(path.relative_to(folder).as_posix() for path in skipped), *empty),
    )


def _read(
    files: Sequence[tuple[Path, int]], request: Request, skip_bad: bool
) -> tuple[list[tuple[Tensor, int]], list[Path]]:
    """Return the requested samples and the skipped files.

    With ``skip_bad`` the samples before the first requested one are read, too: otherwise skipped files would make the
    samples of a warm-up and the measured samples overlap.
    """
    samples: list[tuple[Tensor, int]] = []
    skipped: list[Path] = []
    order = request.order(len(files))
    before = request.first if skip_bad else 0
    for index in order[0 if skip_bad else request.first :]:
        if len(samples) == request.samples:
            break
        path, target = files[index]
        try:
            sample = _tensor(path, request)
        except UNREADABLE as error:
            if not skip_bad:
                raise unreadable(path, error) from error
            skipped.append(path)
            continue
        if before:
            before -= 1
        else:
            samples.append((sample, target))
    return samples, skipped


def _tensor(path: Path, request: Request) -> Tensor:
    """Read one image ``[c, h, w]``, float32."""
    mode = MODES[request.in_chans]
    size = (request.image_size, request.image_size)
    with Image.open(path) as image:
        square = ImageOps.fit(eight_bit(image).convert(mode), size, Image.Resampling.BILINEAR)
    values = torch.from_numpy(np.array(square, dtype=np.float32) / 255.0)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    if mode == "L":
        return ((values - mean.mean()) / std.mean()).unsqueeze(0)
    return ((values - mean) / std).permute(2, 0, 1).contiguous()
