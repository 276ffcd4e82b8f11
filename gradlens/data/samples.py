"""The requested samples, before they are divided into batches."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Samples:
    """The requested samples of a data set, in order.

    Attributes:
        images: ``[batches * n, c, h, w]`` float32.
        targets: ``[batches * n]`` int64.
        class_names: one per class.
        total: number of samples in the whole data set; None if it is unlimited.
        skipped: files that could not be read.
    """

    images: Tensor
    targets: Tensor
    class_names: tuple[str, ...]
    total: int | None
    skipped: tuple[str, ...] = ()
