"""Dense blocks (DenseNet, PeleeNet): each layer reads the outputs of all layers before it."""

from __future__ import annotations

import copy

import torch
from torch import nn

from gradlens.models.narrowing import without_first_inputs

PREACTIVATED = ("norm1", "conv1")
DENSE_INPUTS = {
    # class of a dense layer: its submodules that read all earlier outputs
    "DenseLayer": PREACTIVATED,  # timm
    "_DenseLayer": PREACTIVATED,  # torchvision
    "PeleeLayer": ("short.0.conv", "long.0.conv"),
}


def is_dense_block(block: nn.Module) -> bool:
    """Return whether all children are dense layers."""
    layers = list(block.children())
    return bool(layers) and all(map(dense_inputs, layers))


def dense_inputs(layer: nn.Module) -> tuple[str, ...]:
    """Return the submodules of a dense layer that read all earlier outputs; empty for other modules."""
    return DENSE_INPUTS.get(type(layer).__name__, ())


def is_preactivated(block: nn.Module) -> bool:
    """Return whether the layers of a dense block normalise before they convolve."""
    return dense_inputs(next(block.children())) == PREACTIVATED


def dense_block_without(block: nn.Module, dropped: int) -> nn.Module:
    """Return a copy of a dense block that reads ``dropped`` fewer channels and adds as many as before."""
    rebuilt = copy.deepcopy(block)
    for layer in rebuilt.children():
        drop_channels(layer, dense_inputs(layer), dropped)
    return rebuilt


def drop_channels(layer: nn.Module, names: tuple[str, ...], dropped: int) -> None:
    """Make submodules ``names`` of a dense layer read ``dropped`` fewer channels, in place."""
    with torch.no_grad():
        for name in names:
            without_first_inputs(layer.get_submodule(name), dropped)
