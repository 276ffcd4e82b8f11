"""A cross stage partial stage: how it is cut, and how its new layers look."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from gradlens.models.transitions import Layer


class Split(nn.Module):
    """Cuts ``[n, c, h, w]`` along channels; the first ``bypass`` go round.

    Args:
        bypass: channels of the first part.
        dense: channels of the second.
    """

    def __init__(self, bypass: int, dense: int) -> None:
        super().__init__()
        self.widths = [bypass, dense]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(p1, p2)``."""
        first, second = x.split(self.widths, dim=1)
        return first, second


class Project(nn.Module):
    """Makes the parts by two 1x1 convolutions of the whole input, as the authors' own networks do.

    The convolution comes first also where the network's own layers normalise first: what is read
    twice is the stage's input itself.

    Args:
        bypass: channels of the part that goes round.
        dense: channels of the part that goes through the block.
        layer: makes a 1x1 convolution with normalisation and activation.
    """

    def __init__(self, bypass: int, dense: int, layer: Layer) -> None:
        super().__init__()
        self.bypass = layer(bypass + dense, bypass)
        self.dense = layer(bypass + dense, dense)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``(p1, p2)``."""
        return self.bypass(x), self.dense(x)


class CspStage(nn.Module):
    """A stage of which one part goes round the block.

    Args:
        lead: what stays whole, before the cut.
        cut: makes ``(p1, p2)``.
        blocks: the way through.
        transition: fuses both ways.
    """

    def __init__(self, lead: nn.Module, cut: nn.Module, blocks: nn.Module, transition: nn.Module) -> None:
        super().__init__()
        self.lead, self.cut, self.blocks, self.transition = lead, cut, blocks, transition

    def forward(self, x: Tensor) -> Tensor:
        """The stage's output, in the shape of the baseline's."""
        bypass, dense = self.cut(self.lead(x))
        fused: Tensor = self.transition(bypass, self.blocks(dense))
        return fused


@dataclass(frozen=True)
class Style:
    """How a network's own layers look: new ones are made alike.

    Attributes:
        activation: copied for each new layer.
        batch_norm: normalise over the batch; else over each sample.
    """

    activation: nn.Module
    batch_norm: bool

    @classmethod
    def of(cls, model: nn.Module) -> Style:
        """Activation and normalisation that the network itself uses first."""
        homes = ("torch.nn.modules.activation", "timm.layers.activations")
        modules = list(model.modules())
        acts = (m for m in modules if type(m).__module__ in homes and not list(m.parameters()))
        norms = any(isinstance(m, nn.modules.batchnorm._NormBase) for m in modules)
        return cls(next(acts, nn.ReLU(inplace=True)), norms)

    def layer(self, preactivated: bool, inputs: int, outputs: int) -> nn.Module:
        """A 1x1 convolution with normalisation and activation, in the network's order."""
        convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        normed = inputs if preactivated else outputs
        norm = nn.BatchNorm2d(normed) if self.batch_norm else nn.GroupNorm(1, normed)
        parts = [("norm", norm), ("act", copy.deepcopy(self.activation))]
        parts.insert(2 if preactivated else 0, ("conv", convolution))
        return nn.Sequential(OrderedDict(parts))
