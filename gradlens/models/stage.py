"""The modules of a cross stage partial stage."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gradlens.models.transitions import Layer


class Split(nn.Module):
    """Cut ``[n, c, h, w]`` along channels; the first ``bypass`` channels bypass the block.

    Args:
        bypass: channels of the first part.
        dense: channels of the second part.
    """

    def __init__(self, bypass: int, dense: int) -> None:
        super().__init__()
        self.widths = [bypass, dense]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(p1, p2)``."""
        first, second = x.split(self.widths, dim=1)
        return first, second


class ShuffledSplit(Split):
    """Cut ``[n, c, h, w]`` along channels in another order than theirs.

    Args:
        bypass: channels of the first part.
        dense: channels of the second part.
        order: channels ``[c]``; the first ``bypass`` of them bypass the block.
    """

    def __init__(self, bypass: int, dense: int, order: Tensor) -> None:
        super().__init__(bypass, dense)
        self.register_buffer("order", order)
        self.order: Tensor

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(p1, p2)``."""
        return super().forward(x.index_select(1, self.order))


class Project(nn.Module):
    """Make the parts by two 1x1 convolutions of the whole input, as in the networks of the paper's authors.

    The convolution comes first even if the network's own layers normalise first, so that both parts read the
    stage's input itself.

    Args:
        bypass: channels of the part that bypasses the block.
        dense: channels of the part that passes through the block.
        layer: builds a 1x1 convolution with normalisation and activation.
    """

    def __init__(self, bypass: int, dense: int, layer: Layer) -> None:
        super().__init__()
        self.bypass = layer(bypass + dense, bypass)
        self.dense = layer(bypass + dense, dense)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(p1, p2)``."""
        return self.bypass(x), self.dense(x)


class Whole(nn.Module):
    """Cut nothing off: there is no bypass, and the block reads all channels."""

    def forward(self, x: Tensor) -> tuple[None, Tensor]:
        """Return ``(None, x)``."""
        return None, x


class CspStage(nn.Module):
    """A stage of which one part bypasses the block.

    Args:
        lead: modules before the cut, which stay whole.
        cut: returns the parts ``(p1, p2)``; ``p1`` is None if nothing bypasses the block.
        blocks: the dense branch.
        transition: fuses both branches.
    """

    def __init__(self, lead: nn.Module, cut: nn.Module, blocks: nn.Module, transition: nn.Module) -> None:
        super().__init__()
        self.lead, self.cut, self.blocks, self.transition = lead, cut, blocks, transition

    def forward(self, x: Tensor) -> Tensor:
        """Return the stage's output, which has the shape of the baseline's output."""
        bypass, dense = self.cut(self.lead(x))
        fused: Tensor = self.transition(bypass, self.blocks(dense))
        return fused


@dataclass(frozen=True)
class Style:
    """Activation and normalisation of a network, for its new layers.

    Attributes:
        activation: module that is copied for each new layer.
        batch_norm: whether to normalise over the batch instead of over each sample.
    """

    activation: nn.Module
    batch_norm: bool

    @classmethod
    def of(cls, model: nn.Module) -> Style:
        """Read the first activation and the kind of normalisation of a network."""
        libraries = ("torch.nn.modules.activation", "timm.layers.activations")
        modules = list(model.modules())
        acts = (m for m in modules if type(m).__module__ in libraries and not list(m.parameters()))
        norms = any(isinstance(m, nn.modules.batchnorm._NormBase) for m in modules)
        return cls(next(acts, nn.ReLU(inplace=True)), norms)

    def layer(self, preactivated: bool, inputs: int, outputs: int) -> nn.Module:
        """Make a 1x1 convolution with normalisation and activation, in the network's order."""
        convolution = nn.Conv2d(inputs, outputs, 1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        width = inputs if preactivated else outputs
        norm = nn.BatchNorm2d(width) if self.batch_norm else nn.GroupNorm(1, width)
        parts = [("norm", norm), ("act", copy.deepcopy(self.activation))]
        parts.insert(2 if preactivated else 0, ("conv", convolution))
        return nn.Sequential(OrderedDict(parts))


def private_generator() -> torch.Generator:
    """Return a generator seeded from the global random state, which stays as it is: weights do not depend on it."""
    with torch.random.fork_rng(devices=[]):
        return torch.Generator().manual_seed(int(torch.randint(2**62, ())))


@dataclass(frozen=True)
class Parts:
    """How the parts of a stage's input are made.

    Attributes:
        partial: a key of ``PARTIALS``.
        style: activation and normalisation of new layers.
        draws: draws the channels that bypass the block; None takes the first ones.
    """

    partial: str
    style: Style
    draws: torch.Generator | None

    def module(self, bypass: int, dense: int) -> nn.Module:
        """Build the module that returns ``(p1, p2)``."""
        if not bypass:
            return Whole()
        if self.partial != "split":
            return Project(bypass, dense, partial(self.style.layer, False))
        if self.draws is None:
            return Split(bypass, dense)
        return ShuffledSplit(bypass, dense, torch.randperm(bypass + dense, generator=self.draws))
