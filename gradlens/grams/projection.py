"""Seeded random projections to check sums and to compare contributions.

With random signs ``s``, ``E ⟨s, x⟩⟨s, y⟩ = ⟨x, y⟩``. A sketch has ``m`` such products, 256 to 512: the features are
divided into 64 to 128 parts, and each part is multiplied by four rows of signs. The standard error of an inner product
of two sketches is at most ``√(2 / m) ‖x‖ ‖y‖`` per sample if the parts have equal energy (Charikar, Chen &
Farach-Colton 2002), and at most ``√(2 / 4) ‖x‖ ‖y‖`` if one part has all of it. A part of many features consists of
pieces from all over the gradient, so that a few channels alone do not fill one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from functools import lru_cache

import torch
from torch import Tensor

from gradlens.grams.product import Projected, Signs
from gradlens.grams.rows import WIDTH, Chunks, divided

BUCKETS = 256
ROWS = 4
"""Rows of signs of a sketch: four rows are multiplied in less time than one is read again (CPU)."""
PARTS = BUCKETS // ROWS


class Projection:
    """Random signs for the features in logical order, rearranged once for each memory order that occurs.

    Args:
        features: largest number of features per sample.
        seed: determines the signs.
    """

    def __init__(self, features: int, seed: int = 0) -> None:
        self._seed = seed
        self._signs = [_drawn(features, seed, 0)]
        self._laid_out: dict[Hashable, Signs] = {}

    def functional(self, gradient: Chunks, shape: tuple[int, ...]) -> Signs:
        """Return the signs of one functional per sample, ``Σ_d sign_d g_d``.

        Args:
            gradient: cut into chunks.
            shape: of the gradient.
        """
        key = ("functional", *_key(gradient, shape))
        return self._kept(
            key, lambda: _cut(self._ordered(self._row(_features(gradient)), gradient, shape), gradient)
        )

    def part(
        self,
        gradient: Chunks,
        shape: tuple[int, ...],
        channels: tuple[int, int, int],
        sizes: tuple[int, int, int],
    ) -> Signs:
        """Return the signs of the functional for a tensor that holds only some channels of its source.

        Args:
            gradient: a part, cut into chunks.
            shape: of the part.
            channels: (start, stop, step) in the source.
            sizes: features per sample before, along and after the axis of channels of the source.
        """

        def laid_out() -> Signs:
            index = torch.arange(*channels)
            signs = self._row(math.prod(sizes)).reshape(sizes).index_select(1, index).reshape(-1)
            return _cut(self._ordered(signs, gradient, shape), gradient)

        return self._kept(("part", channels, sizes, *_key(gradient, shape)), laid_out)

    def sketch(self, gradient: Chunks, slices: int = 1) -> Signs:
        """Return the signs of a sketch; they are those of the features in the order of the chunks.

        Args:
            gradient: cut into chunks; without a rest if there are several slices.
            slices: parts of the gradient of equal size, each with the same signs.
        """

        def laid_out() -> Signs:
            features = _features(gradient) // slices
            rows = [self._row(features, row) for row in range(ROWS)]
            return _cut(torch.stack(rows).repeat(1, slices), gradient)

        return self._kept(("sketch", slices, *_key(gradient, ())), laid_out)

    def _kept(self, key: Hashable, laid_out: Callable[[], Signs]) -> Signs:
        if key not in self._laid_out:
            self._laid_out[key] = laid_out()
        return self._laid_out[key]

    def _ordered(self, signs: Tensor, gradient: Chunks, shape: tuple[int, ...]) -> Tensor:
        """Return signs ``[1, d]`` in the order of the features of a gradient."""
        if not gradient.order:
            return signs.reshape(1, -1)
        return signs.reshape(1, *shape[1:]).permute(gradient.order).reshape(1, -1)

    def _row(self, count: int, row: int = 0) -> Tensor:
        """Return the first signs of a row; more are drawn if it is too short."""
        while len(self._signs) <= row or len(self._signs[row]) < count:
            if len(self._signs) <= row:
                self._signs.append(_drawn(count, self._seed, len(self._signs)))
            else:
                self._signs[row] = _drawn(count, self._seed, row)
        return self._signs[row][:count]


@lru_cache(1 << 12)
def parts_of_sketch(features: int) -> int:
    """Return the number of parts of a sketch: from 64 on, so that they are equal if the features allow it.

    >>> parts_of_sketch(6400), parts_of_sketch(32 * 49)
    (64, 98)
    """
    return divided(features, PARTS)


@lru_cache(1 << 12)
def chunks_of_sketch(features: int) -> int:
    """Return the number of chunks of a gradient that is sketched, one or more for each part.

    >>> chunks_of_sketch(6400), chunks_of_sketch(64 * 56 * 56)
    (64, 448)
    """
    parts = parts_of_sketch(features)
    width = features // parts
    return parts * divided(width, -(-width // WIDTH))


def totals(projected: Projected) -> Tensor:
    """Return the functional of each sample, ``[n]`` in float64, from the products with its signs."""
    chunks, rest = projected
    total = chunks.sum((0, 1), dtype=torch.float64)
    return total if rest is None else total + rest.sum(0)


def sketched(projected: Projected, parts: int, slices: int = 1) -> Tensor:
    """Return the sketch of each sample, ``[slices, n, m]`` in float64, from the products with its signs.

    Args:
        projected: products of the chunks; with a rest only if there is one slice.
        parts: of each slice (see ``parts_of_sketch``).
        slices: parts of the gradient of equal size.
    """
    chunks, rest = projected
    n = chunks.shape[-1]
    sketch = chunks.view(slices, -1, parts, ROWS, n).sum(1, dtype=torch.float64)
    if rest is not None:
        sketch[0, -1] += rest
    return sketch.view(slices, -1, n).mul_(ROWS**-0.5).transpose(1, 2)


def exact(features: int) -> bool:
    """Return whether a sketch keeps every feature."""
    return features <= BUCKETS


def _drawn(count: int, seed: int, row: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed ^ row * 0x9E3779B9)  # it reads 32 bits
    return torch.randint(0, 2, (count,), generator=generator).mul_(2).sub_(1).float()


def _features(gradient: Chunks) -> int:
    count, _, width = gradient.equal.shape
    return count * width + (0 if gradient.rest is None else gradient.rest.shape[1])


def _key(gradient: Chunks, shape: tuple[int, ...]) -> tuple[Hashable, ...]:
    kind = (gradient.equal.device, gradient.equal.dtype)
    order = (gradient.order, tuple(shape[1:])) if gradient.order else ()
    return (gradient.equal.shape[0], _features(gradient), order, *kind)


def _cut(signs: Tensor, gradient: Chunks) -> Signs:
    """Cut signs ``[k, d]`` as a gradient is cut, on its device, in at least float32."""
    count, _, width = gradient.equal.shape
    dtype = torch.promote_types(gradient.equal.dtype, torch.float32)
    signs = signs.to(gradient.equal.device, dtype, non_blocking=True)
    equal = signs[:, : count * width].reshape(len(signs), count, width).transpose(0, 1)
    return Signs(equal, None if gradient.rest is None else signs[:, count * width :])
