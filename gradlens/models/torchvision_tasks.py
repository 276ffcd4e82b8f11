"""Networks of torchvision for segmentation, video and optical flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torchvision.models import get_model

from gradlens.errors import GradlensError
from gradlens.models.downloads import socket_timeout
from gradlens.models.shape import InputShape

FLOW_SIZE = 128
"""Smallest image of RAFT, whose correlation pyramid halves features of an eighth of it three times."""
FIXED, FIXED_SIZE = "mvit", 224
"""Start of the names of networks that torchvision builds for one size, and this size."""
STEP = 8
"""RAFT's images have a multiple of it."""


def segmenter(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build a network that classifies pixels; class 0 is the background.

    Args:
        name: as ``torchvision.models.get_model`` takes it.
        shape: ``num_classes`` without the background; None keeps the 21 outputs of the library.
        pretrained: load the weights of the backbone.

    Raises:
        GradlensError: images without three channels, or the network cannot be built.
    """
    _in_colour(shape, name)
    auxiliary = {} if name.startswith("lraspp") else {"aux_loss": True}
    classes = None if shape.num_classes is None else shape.num_classes + 1
    backbone = "DEFAULT" if pretrained else None
    return _built(
        name,
        lambda: get_model(name, num_classes=classes, weights=None, weights_backbone=backbone, **auxiliary),
    )


def video_classifier(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build a classifier of clips ``[n, 3, t, h, w]``.

    The last pooling of S3D, a window of 2 x 7 x 7, is replaced by the mean over all positions, which equals it for
    clips of the published size and also takes smaller ones.

    Args:
        name: as ``torchvision.models.get_model`` takes it.
        shape: classes and size of the frames; None keeps those of the library.
        pretrained: not supported, as the weights are those of other clips.

    Raises:
        GradlensError: clips without three channels, or the network cannot be built.
    """
    _in_colour(shape, name)
    options: dict[str, Any] = {"weights": None}
    if shape.num_classes is not None:
        options["num_classes"] = shape.num_classes
    size = shape.image_size
    if name.startswith(FIXED) and size not in (None, FIXED_SIZE):
        raise GradlensError(
            f"{name} takes clips of 16 frames of {FIXED_SIZE} x {FIXED_SIZE} pixels only, and image_size is {size}; "
            "give such clips as data="
        )
    model: Any = _built(name, lambda: get_model(name, **options))
    if name == "s3d":
        model.avgpool = nn.AdaptiveAvgPool3d(1)
    return model  # type: ignore[no-any-return]


def flow_model(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build RAFT (Teed & Deng 2020, arXiv 2003.12039), which estimates the motion between two images.

    Args:
        name: ``raft_small`` or ``raft_large``.
        shape: side of the images, at least ``FLOW_SIZE`` and a multiple of 8; there are no classes.
        pretrained: not supported.

    Raises:
        GradlensError: images of another size or without three channels.
    """
    _in_colour(shape, name)
    size = shape.image_size
    if size is not None and (size < FLOW_SIZE or size % STEP):
        raise GradlensError(
            f"{name} takes images of at least {FLOW_SIZE} pixels and a multiple of {STEP}, and image_size is {size}; "
            f"use image_size={max(FLOW_SIZE, -(-size // STEP) * STEP)}"
        )
    return _built(name, lambda: get_model(name, weights=None))


def _built(name: str, build: Callable[[], nn.Module]) -> nn.Module:
    try:
        with socket_timeout():
            return build()
    except Exception as error:
        raise GradlensError(
            f"torchvision cannot build {name}: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def _in_colour(shape: InputShape, name: str) -> None:
    if shape.in_chans != 3:
        raise GradlensError(f"{name} takes images of 3 channels, not {shape.in_chans}")
