"""The transition strategies: how the bypass and the dense branch of a stage are fused.

Notation of Wang et al. 2019 (arXiv 1911.11929, figure 3): ``p1`` bypasses the block ``B``, ``p2`` passes through
it, and ``T`` is a 1x1 convolution with normalisation and activation. The paper gives neither the order inside ``T``
nor its widths. Here every ``T`` has the order of the network's own layers. The ``T`` after the block returns the
stage's width minus the width of ``p1``, and the ``T`` after the concatenation the stage's width, so every strategy
has the output shape of the baseline. If the network's own transition pools, the stage's output is pooled once: after
``T``, as in the baseline, but before ``T_U``. Table 1 of the paper implies this order: csp costs 0.084 BFLOPs more
than fusion last at every γ, and 1x1 convolutions at the first three stages' widths cost 0.077 after the pooling and
0.308 before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from gradlens.catalogue.named import named
from gradlens.catalogue.transitions import STRATEGIES, Strategy
from gradlens.errors import GradlensError

Layer = Callable[[int, int], nn.Module]
"""``layer(channels in, channels out)``: a 1x1 convolution with normalisation and activation."""


@dataclass(frozen=True)
class Widths:
    """Channels of one stage.

    Attributes:
        bypass: channels of ``p1``.
        dense: channels of ``B(p2)``.
        out: channels of the stage's output, as in the baseline.
    """

    bypass: int
    dense: int
    out: int


class Transition(nn.Module):
    """Fuse ``(p1, B(p2))`` into the output of a stage; without a bypass (``p1`` is None), apply the transitions.

    Args:
        widths: channels of the stage.
        layer: builds ``T``.
        pool: builds the pooling at the end of the stage, or the identity.
    """

    program: ClassVar[str] = ""
    """Formula of the output; for the built-in strategies it is set from ``gradlens.catalogue.transitions``."""

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__()

    def __call__(self, bypass: Tensor | None, dense: Tensor) -> Tensor:
        """Return the stage's output ``[n, out, h, w]``."""
        return super().__call__(bypass, dense)  # type: ignore[no-any-return]


class Baseline(Transition):
    """``T(B(x))``: the unchanged network."""

    def __init__(self, *args: object) -> None:
        raise TypeError("the strategy 'none' does not cut the stage, so there is nothing to fuse")


class FusionFirst(Transition):
    """``T(cat[p1, B(p2)])`` (figure 3c)."""

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__(widths, layer, pool)
        self.after = layer(widths.bypass + widths.dense, widths.out)
        self.pool = pool()

    def forward(self, bypass: Tensor | None, dense: Tensor) -> Tensor:
        """Concatenate, then apply the transition."""
        fused: Tensor = self.pool(self.after(_joined(bypass, dense)))
        return fused


class FusionLast(Transition):
    """``cat[p1, T(B(p2))]`` (figure 3d)."""

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__(widths, layer, pool)
        self.before = layer(widths.dense, widths.out - widths.bypass)
        self.pool = pool()

    def forward(self, bypass: Tensor | None, dense: Tensor) -> Tensor:
        """Apply the transition, then concatenate."""
        return _joined(None if bypass is None else self.pool(bypass), self.pool(self.before(dense)))


class CrossStage(Transition):
    """``T_U(cat[p1, T_T(B(p2))])`` (figure 3b)."""

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__(widths, layer, pool)
        self.before = layer(widths.dense, widths.out - widths.bypass)
        self.after = layer(widths.out, widths.out)
        self.pool = pool()

    def forward(self, bypass: Tensor | None, dense: Tensor) -> Tensor:
        """Apply a transition, concatenate, apply another transition."""
        fused: Tensor = self.after(self.pool(_joined(bypass, self.before(dense))))
        return fused


class NoFusion(Transition):
    """``cat[p1, B(p2)]`` (named in arXiv 2211.04800, table 6, without a diagram; this is our interpretation).

    Without a transition the output has the width of the block, so the block has to keep its width for the stage
    to have the output shape of the baseline.

    Raises:
        GradlensError: the widths of the stage and its block differ (dense blocks).
    """

    def __init__(self, widths: Widths, layer: Layer, pool: Callable[[], nn.Module]) -> None:
        super().__init__(widths, layer, pool)
        if widths.bypass + widths.dense != widths.out:
            raise GradlensError(
                f"no_fusion has no transition to change {widths.bypass} + {widths.dense} channels to the "
                f"{widths.out} that the next stage reads; use another strategy"
            )
        self.pool = pool()

    def forward(self, bypass: Tensor | None, dense: Tensor) -> Tensor:
        """Concatenate."""
        return _joined(None if bypass is None else self.pool(bypass), self.pool(dense))


def _joined(bypass: Tensor | None, dense: Tensor) -> Tensor:
    """Concatenate both branches along channels; without a bypass, return the dense branch."""
    return dense if bypass is None else torch.cat([bypass, dense], dim=1)


def _class_of(strategy: Strategy) -> type[Transition]:
    transition = cast(type[Transition], named(strategy.module))
    transition.program = strategy.program
    return transition


TRANSITIONS = {name: _class_of(strategy) for name, strategy in STRATEGIES.items()}
"""Classes by the name of their strategy; ``gradlens.catalogue.transitions`` describes each strategy."""
