"""Detectors of torchvision, for small images and with any backbone of timm."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops.feature_pyramid_network import (
    ExtraFPNBlock,
    FeaturePyramidNetwork,
    LastLevelMaxPool,
    LastLevelP6P7,
)

from gradlens.errors import GradlensError, ModelNote
from gradlens.models.downloads import socket_timeout
from gradlens.models.shape import InputShape
from gradlens.models.timm_zoo import feature_model
from gradlens.models.trial import ERRORS, evaluating

CLASSES = 90
"""Classes of COCO, without the background."""
WIDTH = 256
"""Channels of all levels of a feature pyramid (Lin et al. 2017, arXiv 1612.03144)."""
SMALLEST = {"ssd300_vgg16": 300}
"""Detectors whose layers need an image of this size, in pixels."""


def detector(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build a detector of torchvision whose images keep their size.

    Args:
        name: as ``torchvision.models.get_model`` takes it.
        shape: ``num_classes`` without the background; images are resized to the side ``image_size``, None keeps the
            library's sizes (800 to 1333 pixels for most).
        pretrained: load the weights of the backbone.

    Raises:
        GradlensError: images without three channels, or the detector cannot be built.
    """
    options: dict[str, Any] = {"weights": None, "weights_backbone": "DEFAULT" if pretrained else None}
    if "keypoint" not in name:
        options["num_classes"] = _heads(name, shape)
    try:
        with socket_timeout():
            model: nn.Module = get_model(name, progress=False, **options)
    except Exception as error:
        raise GradlensError(
            f"torchvision cannot build {name}: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    size = shape.image_size
    if size is not None and size < SMALLEST.get(name, 0):
        size = SMALLEST[name]
        warnings.warn(
            f"{name} resizes the images to {size} pixels, the least that its layers take",
            ModelNote,
            stacklevel=2,
        )
    return _of_size(model, size)


def fcos(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build FCOS (Tian et al. 2019, arXiv 1904.01355) on a backbone of timm; its levels have strides 8 to 128.

    Args:
        name: of the backbone.
        shape: as ``detector`` takes it.
        pretrained: load the weights of the backbone.

    Raises:
        GradlensError: the backbone cannot be built, or has no features at strides 8, 16 and 32.
    """
    backbone = pyramid("fcos", name, shape, pretrained, (8, 16, 32), LastLevelP6P7(WIDTH, WIDTH))
    return _of_size(FCOS(backbone, _heads(name, shape)), shape.image_size)


def retinanet(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build RetinaNet (Lin et al. 2017, arXiv 1708.02002) on a backbone of timm; parameters as those of ``fcos``."""
    backbone = pyramid("retinanet", name, shape, pretrained, (8, 16, 32), LastLevelP6P7(WIDTH, WIDTH))
    return _of_size(RetinaNet(backbone, _heads(name, shape)), shape.image_size)


def fasterrcnn(name: str, shape: InputShape, pretrained: bool = False) -> nn.Module:
    """Build Faster R-CNN (Ren et al. 2015, arXiv 1506.01497) with a pyramid of strides 4 to 64; see ``fcos``."""
    backbone = pyramid("fasterrcnn", name, shape, pretrained, (4, 8, 16, 32), LastLevelMaxPool())
    ratios = ((0.5, 1.0, 2.0),) * 5
    anchors = AnchorGenerator(tuple((size,) for size in (32, 64, 128, 256, 512)), ratios)
    return _of_size(FasterRCNN(backbone, _heads(name, shape), rpn_anchor_generator=anchors), shape.image_size)


class Pyramid(nn.Module):
    """A backbone and the feature pyramid on it, in the form that torchvision's detectors take.

    Args:
        body: returns features of falling resolution, ``[n, c, h, w]`` or, in some transformers, ``[n, h, w, c]``.
        strides: of the features that the pyramid reads.
        extra: makes the coarser levels.
        image_size: side of the images.
        channels_last: whether the features are ``[n, h, w, c]``.

    Raises:
        GradlensError: the backbone has no features of these strides.
    """

    def __init__(
        self,
        body: nn.Module,
        strides: Sequence[int],
        extra: ExtraFPNBlock,
        image_size: int | None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        sizes = measured_strides(body, image_size, channels_last)
        missing = [stride for stride in strides if stride not in [size for size, _ in sizes]]
        if missing:
            raise GradlensError(
                f"needs features at strides {', '.join(map(str, strides))}, and the backbone has them at "
                f"{', '.join(str(size) for size, _ in sizes)}; use a backbone with stages, such as resnet50"
            )
        last = {size: index for index, (size, _) in enumerate(sizes)}  # the deepest of equal strides
        self.used = tuple(last[stride] for stride in strides)
        self.body = body
        self.fpn = FeaturePyramidNetwork([sizes[index][1] for index in self.used], WIDTH, extra)
        self.out_channels = WIDTH
        self.strides, self.image_size, self.channels_last = tuple(strides), image_size, channels_last

    def with_body(self, body: nn.Module) -> Pyramid:
        """Return a pyramid of the same strides on another backbone."""
        extra: Any = self.fpn.extra_blocks
        return Pyramid(body, self.strides, extra, self.image_size, self.channels_last)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the levels of the pyramid by name, fine to coarse."""
        features = _channels_first(self.body(x), self.channels_last)
        chosen = {str(level): features[index] for level, index in enumerate(self.used)}
        levels: dict[str, Tensor] = self.fpn(chosen)
        return levels


def pyramid(
    prefix: str,
    name: str,
    shape: InputShape,
    pretrained: bool,
    strides: Sequence[int],
    extra: ExtraFPNBlock,
) -> Pyramid:
    """Build a backbone of timm and a feature pyramid on its features of some strides.

    Raises:
        GradlensError: the backbone cannot be built, or has no features of these strides.
    """
    _in_colour(shape, prefix)
    body: Any = feature_model(name, shape, pretrained)
    last = getattr(body, "output_fmt", None)
    try:
        return Pyramid(body, strides, extra, shape.image_size, str(last).endswith("NHWC"))
    except GradlensError as error:
        raise GradlensError(f"{prefix}:{name} {error}") from error


def measured_strides(
    body: nn.Module, image_size: int | None, channels_last: bool = False
) -> list[tuple[float, int]]:
    """Return output stride and channels of each feature of a backbone, measured on a blank image.

    Raises:
        GradlensError: the backbone does not run on it.
    """
    side = max(-(-(image_size or 64) // 32) * 32, 64)
    try:
        with evaluating(body), torch.no_grad():
            features = _channels_first(body(torch.zeros(1, 3, side, side)), channels_last)
    except ERRORS as error:
        raise GradlensError(
            f"does not run on images of {side} pixels: {' '.join(str(error).split())[:160]}"
        ) from error
    return [(_plain(side / feature.shape[-1]), feature.shape[1]) for feature in features]


def _channels_first(features: list[Tensor], channels_last: bool) -> list[Tensor]:
    return [feature.permute(0, 3, 1, 2) if channels_last else feature for feature in features]


def _plain(stride: float) -> float:
    return int(stride) if stride == int(stride) else round(stride, 2)


def _heads(name: str, shape: InputShape) -> int:
    """Return the classes of a head, which counts the background as class 0."""
    _in_colour(shape, name)
    return (shape.num_classes or CLASSES) + 1


def _in_colour(shape: InputShape, name: str) -> None:
    if shape.in_chans != 3:
        raise GradlensError(
            f"{name}: detectors of torchvision take images of 3 channels, not {shape.in_chans}"
        )


def _of_size(model: nn.Module, size: int | None) -> nn.Module:
    """Let a detector resize its images to one side."""
    if size is not None:
        transform: Any = model.transform
        if transform.fixed_size is not None:
            transform.fixed_size = (size, size)
        transform.min_size, transform.max_size = (size,), size
    return model
