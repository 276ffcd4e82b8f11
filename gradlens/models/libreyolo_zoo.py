"""YOLOX (Ge et al. 2021, arXiv 2107.08430) of the optional library libreyolo (MIT)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.models.shape import InputShape
from gradlens.models.sources.own import YOLOX
from gradlens.models.sources.steps import detection_batch, one_size
from gradlens.randomness import random_states_kept

CLASSES = 80
STRIDE = 32
LOSSES = {"box": "iou_loss", "objectness": "obj_loss", "class": "cls_loss"}
"""Names of the losses, and those of the library for them; ``iou_loss`` has its weight of 5 already."""
LEVELS = 255.0
"""The library's YOLOX takes pixels of 0 to 255."""


def yolox(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build YOLOX in one of its sizes.

    Args:
        name: a key of ``sources.own.YOLOX``.
        shape: classes of the head, without a background; the size of the images is a multiple of 32.
        pretrained: not supported.

    Raises:
        GradlensError: images of another size or without three channels.
    """
    with random_states_kept():
        from libreyolo.models.yolox.nn import LibreYOLOXModel

    if shape.in_chans != 3:
        raise GradlensError(f"{name} takes images of 3 channels, not {shape.in_chans}")
    shape.check_stride(name, STRIDE)
    model: nn.Module = LibreYOLOXModel(YOLOX[name], nb_classes=shape.num_classes or CLASSES)
    return model


def yolox_losses(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    """Return the losses of YOLOX: ``box``, ``objectness`` and ``class``, each over the assigned cells of the batch.

    Args:
        model: from ``yolox``, in train mode.
        batch: (images, targets), see ``steps.detection_batch``; the images have one size.

    Raises:
        GradlensError: the batch has another form, images of several sizes, or classes that the model does not have.
    """
    images, targets = detection_batch(model, batch)
    pixels = one_size(images, targets, int(model.head.num_classes))  # type: ignore[union-attr, arg-type]
    rows = pixels.new_zeros(len(targets), max(1, *(len(target["boxes"]) for target in targets)), 5)
    for row, target in zip(rows, targets, strict=True):
        corners = target["boxes"].reshape(-1, 4).to(pixels)
        low, high = corners[:, :2], corners[:, 2:]
        classes = (target["labels"] - 1).to(pixels)[:, None]
        row[: len(corners)] = torch.cat([classes, (low + high) / 2, high - low], dim=1)
    losses = model(pixels * LEVELS, rows)
    return {name: losses[key] for name, key in LOSSES.items()}
