"""PeleeNet (Wang, Li & Ling 2018, arXiv 1804.06882), which timm does not have.

Its dense layers and its stem have two branches, its transitions keep the width, and the bottlenecks become wider
from stage to stage. 2.8 M parameters and 508 M multiply-adds at 224 x 224 in the paper.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from gradlens.models.shape import InputShape
from gradlens.models.sources.own import PELEENETS

DEPTHS = PELEENETS["peleenet"]
BOTTLENECKS = (1, 2, 4, 4)
GROWTH = 32
STEM = 32


class ConvLayer(nn.Sequential):
    """Convolution, batch normalisation, ReLU: the order of the paper (post-activation).

    Args:
        inputs: input channels.
        outputs: output channels.
        kernel: kernel size, padded to keep the resolution at stride 1.
        stride: stride of the convolution.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        parts = [("conv", convolution), ("bn", nn.BatchNorm2d(outputs)), ("act", nn.ReLU(inplace=True))]
        super().__init__(OrderedDict(parts))


class PeleeStem(nn.Module):
    """Stem of stride 4 with two branches, one of convolutions and one of pooling (figure 2b)."""

    def __init__(self, in_chans: int, width: int = STEM) -> None:
        super().__init__()
        self.entry = ConvLayer(in_chans, width, 3, 2)
        self.way = nn.Sequential(ConvLayer(width, width // 2, 1), ConvLayer(width // 2, width, 3, 2))
        self.pool = nn.MaxPool2d(2, 2)
        self.exit = ConvLayer(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, width, h / 4, w / 4]``."""
        entry = self.entry(x)
        joined: Tensor = self.exit(torch.cat([self.way(entry), self.pool(entry)], dim=1))
        return joined


class PeleeLayer(nn.Module):
    """Dense layer of two branches (figure 2a), with one and two 3x3 convolutions; each adds ``growth / 2`` channels.

    Args:
        inputs: channels of all earlier outputs.
        growth: added channels.
        bottleneck: width of the 1x1 convolutions in units of half the growth rate.
    """

    def __init__(self, inputs: int, growth: int, bottleneck: int) -> None:
        super().__init__()
        half = growth // 2
        width = half * bottleneck
        self.short = nn.Sequential(ConvLayer(inputs, width, 1), ConvLayer(width, half, 3))
        self.long = nn.Sequential(
            ConvLayer(inputs, width, 1), ConvLayer(width, half, 3), ConvLayer(half, half, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, inputs + growth, h, w]``."""
        return torch.cat([x, self.short(x), self.long(x)], dim=1)


class PeleeNet(nn.Module):
    """PeleeNet, with the widths of the paper by default.

    Args:
        num_classes: width of the head.
        in_chans: channels of the images.
        depths: dense layers of each block.
        growth: channels that each layer adds.
        bottlenecks: width of the 1x1 convolutions of each block, in units of half the growth rate.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        depths: tuple[int, ...] = DEPTHS,
        growth: int = GROWTH,
        bottlenecks: tuple[int, ...] = BOTTLENECKS,
    ) -> None:
        super().__init__()
        self.in_chans = in_chans
        self.features = nn.Sequential()
        self.features.add_module("stem", PeleeStem(in_chans))
        width = STEM
        for number, (depth, bottleneck) in enumerate(zip(depths, bottlenecks, strict=True), 1):
            layers = [PeleeLayer(width + i * growth, growth, bottleneck) for i in range(depth)]
            self.features.add_module(f"denseblock{number}", nn.Sequential(*layers))
            width += depth * growth
            transition = nn.Sequential(OrderedDict(conv=ConvLayer(width, width, 1)))
            if number < len(depths):
                transition.add_module("pool", nn.AvgPool2d(2, 2))
            self.features.add_module(f"transition{number}", transition)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``[n, num_classes]``."""
        logits: Tensor = self.classifier(self.global_pool(self.features(x)).flatten(1))
        return logits


def pelee_model(name: str, shape: InputShape, pretrained: bool = False) -> PeleeNet:
    """Build a PeleeNet by its name; there are no pretrained weights."""
    return PeleeNet(shape.num_classes or 1000, shape.in_chans, PELEENETS[name])
