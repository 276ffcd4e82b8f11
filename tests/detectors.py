"""Small detectors of torchvision for tests."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork

WIDTH = 32  # the heads normalise 32 groups
STRIDES = (4, 8)


class Body(nn.Module):
    """Two convolutions with normalisation, and a pyramid of their features at strides 4 and 8."""

    out_channels = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, WIDTH, 4, 4), nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 2, 2), nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.pyramid = FeaturePyramidNetwork([WIDTH, WIDTH], WIDTH)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the maps ``[n, 32, h, w]`` by level."""
        first = self.first(images)
        return self.pyramid(OrderedDict(fine=first, coarse=self.second(first)))


def small_fcos(seed: int = 0, classes: int = 10, size: int = 32) -> FCOS:
    """Return FCOS on a small body, for images of a size, with one more class for the background."""
    torch.manual_seed(seed)
    anchors = AnchorGenerator(sizes=tuple((s,) for s in STRIDES), aspect_ratios=((1.0,),) * len(STRIDES))
    return FCOS(Body(), num_classes=classes + 1, anchor_generator=anchors, min_size=size, max_size=size)


def scenes_batch(seed: int, n: int = 4, size: int = 32) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Return images of noise with one box each, which is half as wide as the image."""
    generator = torch.Generator().manual_seed(seed)
    images = [torch.rand(3, size, size, generator=generator) for _ in range(n)]
    corner = size // 4
    box = torch.tensor([[corner, corner, corner + size // 2, corner + size // 2]], dtype=torch.float32)
    return images, [{"boxes": box.clone(), "labels": torch.tensor([1 + i % 10])} for i in range(n)]
