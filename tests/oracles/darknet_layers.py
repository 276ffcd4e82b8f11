"""What each layer of a darknet network returns."""

from __future__ import annotations

import torch
from torch import Tensor

from gradlens.models.darknet import DarknetModel


def outputs(model: DarknetModel, x: Tensor) -> list[Tensor]:
    """Return the output of each layer, copied before the next layer runs."""
    captured: list[Tensor] = []
    handles = [
        layer.register_forward_hook(lambda _m, _i, out: captured.append(out.clone()))
        for layer in model.layers
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return captured
