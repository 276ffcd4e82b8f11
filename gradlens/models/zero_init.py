"""Layers whose gains are initialised to zero, so that no gradient passes through them."""

from __future__ import annotations

import torch
from torch import nn

NORMS = (
    nn.modules.batchnorm._NormBase,  # every BatchNorm and InstanceNorm
    nn.GroupNorm,
    nn.LayerNorm,
)


def lift_zero_init(model: nn.Module) -> int:
    """Set gains that are zero to one, and return the number of changed layers.

    Many networks start the last normalisation of each residual block, or a scalar gain of the
    block (NFNet's ``skipinit_gain``), at zero. The block then starts as the identity (Goyal et al.
    2017, section 5.1, arXiv:1706.02677; De and Smith 2020, arXiv:2002.10444), and no gradient
    reaches the layers inside it before the first step. Only weights that are entirely zero are changed,
    and no biases.

    >>> lift_zero_init(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    0
    """
    changed = 0
    with torch.no_grad():
        for module in model.modules():
            gains = [
                value
                for name, value in module.named_parameters(recurse=False)
                if _is_gain(module, name, value) and value.numel() and not value.any()
            ]
            for gain in gains:
                gain.fill_(1.0)
            changed += bool(gains)
    return changed


def _is_gain(module: nn.Module, name: str, value: nn.Parameter) -> bool:
    if name.endswith("bias"):
        return False
    is_norm = isinstance(module, NORMS) or "Norm" in type(module).__name__
    return (is_norm and name == "weight") or "gain" in name or value.numel() == 1
