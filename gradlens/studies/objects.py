"""What the caller of a study supplies as objects instead of names. No torch, because options import it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Batched(Protocol):
    """Batches that the caller supplies; ``gradlens.data.SuppliedBatches`` without torch."""

    @property
    def image(self) -> tuple[int, int, int] | None:
        """Channels, height and width of the images, or None."""

    def batches(self, seed: int, count: int, start: int) -> Any:
        """Return ``count`` batches after the first ``start``, in the order of a seed."""


@dataclass(frozen=True, eq=False)
class Supply:
    """What the caller supplies as objects; the options of a study describe them.

    Attributes:
        batches: batches to measure, instead of a data set by name.
        step: function of (model, batch) that returns the loss.
        loss: function of (output, target) that returns the loss.
    """

    batches: Batched | None = None
    step: Callable[..., Any] | None = None
    loss: Callable[..., Any] | None = None


NO_SUPPLY = Supply()
