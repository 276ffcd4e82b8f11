"""Batches of images and targets, with the identity of their samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from torch import Tensor

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Batches(Sequence[Batch]):
    """A sequence of (images ``[n, c, h, w]`` float32, targets ``[n]`` int64), or of what the caller supplies.

    Attributes:
        items: the batches, in order, each of the same ``n``.
        num_classes: number of classes of the whole data set; 0 if the batches have no class targets.
        class_names: one name per class, in the order of the targets.
        in_chans: channels ``c``.
        image_size: height ``h`` and width ``w`` in pixels.
        identity: name, seed, counts, sha256 over the tensors, and the skipped files.
        described: what a batch holds, for messages; empty for images.
    """

    items: tuple[Any, ...]
    num_classes: int
    class_names: tuple[str, ...]
    in_chans: int
    image_size: int
    identity: Mapping[str, Any]
    described: str = ""

    def __str__(self) -> str:
        """Return what the batches hold, for messages."""
        images = f"{self.in_chans} x {self.image_size} x {self.image_size} images"
        return self.described or f"{images} of {self.num_classes} classes"

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Batch, ...]: ...
    def __getitem__(self, index: int | slice) -> Batch | tuple[Batch, ...]:
        return self.items[index]

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.items)


def fingerprint(batches: Sequence[Batch]) -> str:
    """Return the sha256 over the bytes, shapes and order of all tensors.

    >>> fingerprint([])[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    for batch in batches:
        for tensor in batch:
            digest.update(f"{tensor.dtype}{list(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
