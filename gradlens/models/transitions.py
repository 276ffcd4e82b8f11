"""The transition strategies: how the way round a stage and the way through it are fused.

Notation of Wang et al. 2019 (arXiv 1911.11929, figure 3): ``p1`` goes round the block ``B``, ``p2``
through it; ``T`` is a 1x1 convolution with normalisation and activation. The paper gives neither the
order inside ``T`` nor its widths; here every ``T`` has the order of the network's own layers, the one
behind the block makes the stage's width less that of ``p1``, and the one behind the concatenation the
stage's width, so every strategy has the output shape of the baseline. Where the network's own transition
pools, whatever leaves the stage is pooled once: behind ``T``, as in the baseline, but before ``T_U``. That
is what table 1 of the paper implies: csp costs 0.084 BFLOPs more than fusion last at every γ; 1x1
convolutions at the first three stages' widths cost 0.077 behind the pooling and 0.308 before it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gradlens.errors import GradlensError
from gradlens.transitions import STRATEGIES, Strategy

Layer = Callable[[int, int], nn.Module]
"""``layer(channels in, channels out)``: a 1x1 convolution with normalisation and activation."""


@dataclass(frozen=True)
class Widths:
    """Channels of one stage.

    Attributes:
        bypass: of ``p1``.
        dense: of ``B(p2)``.
        out: of the stage's output, as in the baseline.
    """

    bypass: int
    dense: int
    out: int


class Transition(nn.Module):
    """Fuses ``(p1, B(p2))`` into the output of a stage.

    Args:
        widths: channels.
        layer: makes ``T``.
        pool: makes the pooling at the end of the stage; the identity where there is none.
    """

    program: ClassVar[str]

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__()

    def __call__(self, bypass: Tensor, dense: Tensor) -> Tensor:
        """The stage's output ``[n, out, h, w]``."""
        return super().__call__(bypass, dense)  # type: ignore[no-any-return]


class Baseline(Transition):
    """``T(B(x))``: the network as it is; nothing goes round."""

    def __init__(self, *args: Any) -> None:
        raise TypeError("the strategy 'none' cuts nothing, so it has nothing to fuse")


class FusionFirst(Transition):
    """``T(cat[p1, B(p2)])`` (figure 3c)."""

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__(widths, layer, pool)
        self.after = layer(widths.bypass + widths.dense, widths.out)
        self.pool = pool()

    def forward(self, bypass: Tensor, dense: Tensor) -> Tensor:
        """Concatenate, then transit."""
        fused: Tensor = self.pool(self.after(torch.cat([bypass, dense], dim=1)))
        return fused


class FusionLast(Transition):
    """``cat[p1, T(B(p2))]`` (figure 3d)."""

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__(widths, layer, pool)
        self.before = layer(widths.dense, widths.out - widths.bypass)
        self.pool = pool()

    def forward(self, bypass: Tensor, dense: Tensor) -> Tensor:
        """Transit, then concatenate."""
        return torch.cat([self.pool(bypass), self.pool(self.before(dense))], dim=1)


class CrossStage(Transition):
    """``T_U(cat[p1, T_T(B(p2))])`` (figure 3b)."""

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__(widths, layer, pool)
        self.before = layer(widths.dense, widths.out - widths.bypass)
        self.after = layer(widths.out, widths.out)
        self.pool = pool()

    def forward(self, bypass: Tensor, dense: Tensor) -> Tensor:
        """Transit, concatenate, transit."""
        fused: Tensor = self.after(self.pool(torch.cat([bypass, self.before(dense)], dim=1)))
        return fused


class NoFusion(Transition):
    """``cat[p1, B(p2)]`` (named in arXiv 2211.04800, table 6, without a diagram: this reading is ours).

    Without a transition the stage's width is that of the block, so only a block that keeps its width
    can have the baseline's shape.

    Raises:
        GradlensError: the stage's width is another (dense blocks).
    """

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__(widths, layer, pool)
        if widths.bypass + widths.dense != widths.out:
            raise GradlensError(
                f"no_fusion has no transition to bring {widths.bypass} + {widths.dense} channels to the "
                f"{widths.out} that the next stage reads; use another strategy"
            )
        self.pool = pool()

    def forward(self, bypass: Tensor, dense: Tensor) -> Tensor:
        """Concatenate."""
        return torch.cat([self.pool(bypass), self.pool(dense)], dim=1)


def _class_of(strategy: Strategy) -> type[Transition]:
    module, _, name = strategy.module.rpartition(".")
    transition: type[Transition] = getattr(importlib.import_module(module), name)
    transition.program = strategy.program
    return transition


TRANSITIONS = {name: _class_of(strategy) for name, strategy in STRATEGIES.items()}
"""Classes by the name of their strategy; the facts about each strategy are in ``gradlens.transitions``."""
