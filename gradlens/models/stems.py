"""Stems for small images."""

from __future__ import annotations

from torch import nn

from gradlens.errors import GradlensError
from gradlens.models.peleenet import STEM, ConvLayer, PeleeNet

POOLS = ("maxpool", "pool0", "pool")


def cifar_stem(model: nn.Module) -> None:
    """Make the stem of a network keep the resolution of its image, in place.

    The first convolution becomes 3x3 with stride 1, and the pooling after it is removed, as for the
    32 x 32 images of He et al. 2016 (arXiv 1512.03385, section 4.2) and Huang et al. 2017.

    Raises:
        GradlensError: the network has no convolution, or its first convolution keeps the resolution already.
    """
    if isinstance(model, PeleeNet):
        model.features.stem = ConvLayer(model.in_chans, STEM, 3)
        return
    convolutions = ((path, m) for path, m in model.named_modules() if isinstance(m, nn.Conv2d))
    path, first = next(convolutions, ("", None))
    if first is None or max(first.stride) == 1:
        raise GradlensError(
            f"the first convolution of {type(model).__name__} keeps the resolution already; leave out the cifar stem"
        )
    parent, _, name = path.rpartition(".")
    stem = model.get_submodule(parent)
    setattr(stem, name, _small(first))
    for module in (model, stem):
        for pool in POOLS:
            if isinstance(getattr(module, pool, None), (nn.MaxPool2d, nn.AvgPool2d)):
                setattr(module, pool, nn.Identity())


def _small(first: nn.Conv2d) -> nn.Conv2d:
    small = nn.Conv2d(first.in_channels, first.out_channels, 3, 1, 1, bias=first.bias is not None)
    nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    return small
