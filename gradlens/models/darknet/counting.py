"""The arithmetic of a network as darknet prints it when it loads a ``.cfg``."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from gradlens.models.darknet.joining import ShortcutLayer
from gradlens.models.darknet.layers import ConvLayer
from gradlens.models.darknet.positions import Wire
from gradlens.models.darknet.resampling import PoolLayer
from gradlens.models.darknet.sections import Cfg
from gradlens.models.darknet.wiring import wires


class Flops(NamedTuple):
    """FLOPs of the forward pass of one image.

    Attributes:
        convolutions: 2 per multiply-add, without biases, norms and activations.
        total: with the maximum poolings (1 per element of each window) and shortcuts (1 per addition), which
            darknet counts too since 2020.
    """

    convolutions: int
    total: int


def darknet_flops(cfg: Cfg, image_size: int | None = None) -> Flops:
    """Count a network without building its weights.

    Args:
        cfg: a network.
        image_size: side of the images in pixels; None keeps the height and width of the file.

    Raises:
        GradlensError: see ``wires``.
    """
    if image_size is not None:
        cfg = replace(cfg, net=replace(cfg.net, height=image_size, width=image_size))
    with torch.device("meta"):
        layers = wires(cfg)
    convolutions = sum(_convolution(wire) for wire in layers)
    return Flops(convolutions, convolutions + sum(_other(wire) for wire in layers))


def _convolution(wire: Wire) -> int:
    if not isinstance(wire.module, ConvLayer):
        return 0
    return 2 * wire.module.conv.weight.numel() * wire.out.height * wire.out.width


def _other(wire: Wire) -> int:
    elements = wire.out.channels * wire.out.height * wire.out.width
    if isinstance(wire.module, PoolLayer):
        return elements * wire.module.section.size**2
    return elements * len(wire.sources) if isinstance(wire.module, ShortcutLayer) else 0
