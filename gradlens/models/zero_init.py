"""Layers whose gains are initialised to zero, so that no gradient passes through them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

NORMS = (
    nn.modules.batchnorm._NormBase,  # every BatchNorm and InstanceNorm
    nn.GroupNorm,
    nn.LayerNorm,
)
SCALARS = ("gain", "gamma", "alpha", "scale", "resweight")
"""Parts of the names of a single number that a block is multiplied with."""
OTHERS = ("log", "temp", "bias")
"""Parts of the names of a single number that is used in another way, such as ``logit_scale``."""
SIDE = 4
"""Size of the axes of a trial input, and entries of a weight that are read first."""


def zero_gains(model: nn.Module) -> list[str]:
    """Return the names of the gains that are entirely zero (see ``lift_zero_init``).

    >>> zero_gains(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    []
    """
    return [f"{path}.{name}".lstrip(".") for path, _, name, _ in _zero_gains(model)]


def lift_zero_init(model: nn.Module) -> int:
    """Set gains that are zero to one, and return the number of changed layers.

    Many networks start the last normalisation of each residual block, or a scalar gain of the
    block (NFNet's ``skipinit_gain``), at zero. The block then starts as the identity (Goyal et al.
    2017, section 5.1, arXiv:1706.02677; De and Smith 2020, arXiv:2002.10444), and no gradient
    reaches the layers inside it before the first step. Only weights that are entirely zero are changed,
    and no biases. A gain whose layer passes gradients although it is zero (``x * (1 + weight)``, ConvNeXt's
    global response normalisation) is left as it is.

    >>> lift_zero_init(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    0
    """
    changed = set()
    with torch.no_grad():
        for _, module, _, gain in _zero_gains(model):
            gain.fill_(1.0)
            changed.add(module)
    return len(changed)


def _zero_gains(model: nn.Module) -> Iterator[tuple[str, nn.Module, str, nn.Parameter]]:
    for path, module in model.named_modules():
        zeros = [
            (name, value)
            for name, value in module.named_parameters(recurse=False)
            if not is_lazy(value) and value.numel() and not value.flatten()[:SIDE].any() and not value.any()
        ]
        for name, value in zeros:
            if _is_gain(module, name, value):
                yield path, module, name, value


def _is_gain(module: nn.Module, name: str, value: nn.Parameter) -> bool:
    """Return whether a parameter that is zero closes its layer or its block."""
    word, kind = name.lower(), type(module).__name__.lower()
    if any(other in word for other in OTHERS):
        return False
    if isinstance(module, NORMS):
        return word == "weight"
    if "norm" in kind and word in ("weight", "scale", "gamma", "gain"):
        return _closes(module, value)
    if "layerscale" in kind or "layer_scale" in word:
        return True
    return "gain" in word or (value.numel() == 1 and any(part in word for part in SCALARS))


def _closes(module: nn.Module, gain: Tensor) -> bool:
    """Return whether a normalisation of an unknown kind has a constant output because its gain is zero."""
    channels, training = gain.numel(), module.training
    generator = torch.Generator().manual_seed(0)
    module.eval()
    try:
        for shape in ((SIDE, channels), (SIDE, channels, SIDE, SIDE), (SIDE, SIDE, SIDE, channels)):
            samples = torch.randn(shape, generator=generator).to(gain)
            try:
                output = module(samples)
            except Exception:  # of a user's module, for a shape that it does not take
                continue
            if isinstance(output, Tensor) and output.shape == samples.shape:
                return torch.equal(output[:1].expand_as(output), output)
        return False
    finally:
        module.train(training)
