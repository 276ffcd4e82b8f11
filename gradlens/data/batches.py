"""Batches of images and targets, with the identity of their samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
from torch import Tensor
from torch.utils import _pytree

from gradlens.catalogue.datasets import CLASSIFICATION

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Batches(Sequence[Batch]):
    """A sequence of (images ``[n, c, h, w]`` float32, targets ``[n]`` int64), or of what the caller supplies.

    For detection, images are a list of ``[c, h, w]`` float32 in [0, 1], targets a list of dicts as torchvision has
    them: ``boxes`` ``[k, 4]`` float32, the corners (x, y, x, y) in pixels, and ``labels`` ``[k]`` int64 from 1.

    Attributes:
        items: the batches, in order, each of the same ``n``.
        num_classes: number of classes of the whole data set; 0 if the batches have no class targets.
        class_names: one name per class, in the order of the targets.
        in_chans: channels ``c``.
        image_size: height ``h`` and width ``w`` in pixels.
        identity: name, seed, counts, sha256 over the tensors, and the skipped files.
        described: what a batch holds, for messages; empty for images.
        task: ``classification`` or ``detection``; then a head has ``num_classes`` + 1 outputs where 0 is background.
    """

    items: tuple[Any, ...]
    num_classes: int
    class_names: tuple[str, ...]
    in_chans: int
    image_size: int
    identity: Mapping[str, Any]
    described: str = ""
    task: str = CLASSIFICATION

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


def fingerprint(value: object) -> str:
    """Return the sha256 over the bytes, shapes and order of the tensors in nested containers.

    >>> fingerprint([])[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    for leaf in _pytree.tree_leaves(value):
        if isinstance(leaf, Tensor) and leaf.layout is torch.strided and not leaf.is_nested:
            array = leaf.detach().cpu().contiguous()
            digest.update(f"{array.dtype}{list(array.shape)}".encode())
            digest.update(array.flatten().view(torch.uint8).numpy().tobytes() if array.numel() else b"")
        else:
            digest.update(repr(leaf).encode() if isinstance(leaf, (str, int, float)) else b"?")
    return digest.hexdigest()
