"""The requested samples, before they are divided into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gradlens.catalogue.datasets import CLASSIFICATION


@dataclass(frozen=True, eq=False)
class Samples:
    """The requested samples of a data set, in order.

    Attributes:
        images: ``[batches * n, c, h, w]`` float32; for detection a list of ``[c, h, w]``.
        targets: ``[batches * n]`` int64; for detection a list of dicts.
        class_names: one per class.
        total: number of samples in the whole data set; None if it is unlimited.
        skipped: files that could not be read.
        left_out: numbers of boxes that are not in the targets, by reason.
        task: what a network learns of them.
    """

    images: Tensor | Sequence[Tensor]
    targets: Tensor | Sequence[Mapping[str, Tensor]]
    class_names: tuple[str, ...]
    total: int | None
    skipped: tuple[str, ...] = ()
    task: str = CLASSIFICATION
    left_out: Mapping[str, int] = field(default_factory=dict)

    def batches(self, n: int) -> tuple[tuple[Any, Any], ...]:
        """Return batches of ``n`` samples, which share no memory."""
        return tuple(
            (_members(self.images, first, n), _members(self.targets, first, n))
            for first in range(0, len(self.images), n)
        )


def _members(values: Any, first: int, n: int) -> Any:
    part = values[first : first + n]
    return part.clone() if isinstance(part, Tensor) else list(part)
