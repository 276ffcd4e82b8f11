"""Families whose members are known to work with the transition strategies, small members first."""

from __future__ import annotations

FAMILIES: dict[str, tuple[str, ...]] = {
    "ResNet": ("resnet18", "resnet34", "resnet26", "resnet50", "resnet101", "resnet152"),
    "ResNeXt": ("resnext26ts", "resnext50_32x4d", "resnext101_32x4d"),
    "DenseNet": ("densenet121", "densenet161", "densenet169", "densenet201"),
    "DarkNet": ("darknet17", "darknet21", "darknet53"),
    "PeleeNet": ("peleenet_small", "peleenet"),
}
"""Names without a prefix are timm's; other networks whose stages are sequences of blocks may work too."""
