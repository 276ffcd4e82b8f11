"""Samples: what a data set gives for a request, before it is cut into batches."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Samples:
    """The wanted samples of a data set, in order.

    Attributes:
        images: ``[batches * n, c, h, w]`` float32.
        targets: ``[batches * n]`` int64.
        class_names: one a class.
        total: samples in the whole data set; None where there is no end to them.
        skipped: files that could not be read.
    """

    images: Tensor
    targets: Tensor
    class_names: tuple[str, ...]
    total: int | None
    skipped: tuple[str, ...] = ()
