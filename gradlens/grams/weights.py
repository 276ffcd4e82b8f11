"""Grams of per-sample weight gradients, weight by weight, exact, by the cheaper of two ways.

With inputs ``A`` and output gradients ``G`` of ``t`` positions a sample, a sample's weight gradient is
``Σ_t g_t a_tᵀ``. *Direct*: make it for each sample, then the Gram. *Pairs*: never make it,
``K_ij = Σ_{t, u} ⟨a_it, a_ju⟩ ⟨g_it, g_ju⟩``, cheaper where positions are few and weights many. The gradient of
a weight that is used several times is the sum over its uses: their positions stand side by side. In train
mode a normalisation couples the samples; the summands are then a sample's share of the batch's gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from gradlens.grams.gram import gram
from gradlens.grams.uses import Patches, Products, Use, Vectors, Words

Cut = tuple[int, ...]
"""Input channels (start, stop) of a weight; empty for all."""
BLOCK = 1 << 22
"""Products of positions made at a time."""
HELD = 1 << 26
"""Elements of per-sample weight gradients made at a time."""
Kind = TypeVar("Kind")


def weight_grams(uses: Sequence[Use], n: int, cuts: Sequence[Cut] = ((),)) -> list[Tensor]:
    """``[n, n]`` float64 of the per-sample gradients of a weight, one a cut of its input channels.

    Args:
        uses: one or more of one weight.
        n: samples.
        cuts: input channels; only convolutions without groups and linear layers of one use have several.
    """
    vectors, patches, words = _of(Vectors, uses), _of(Patches, uses), _of(Words, uses)
    if vectors:
        return [gram(sum((use.rows for use in vectors[1:]), vectors[0].rows), 1, n)]
    if patches:
        return _convolution(patches, n, cuts)
    if len(words) == len(uses) and len({use.turned for use in words}) == 1:
        return _embedding(words, n)
    return _linear([_spelt_out(use) if isinstance(use, Words) else use for use in uses], n, cuts)


def pairs_are_cheaper(n: int, positions: int, features: int, weights: int) -> bool:
    """Multiply-adds of the two ways, for ``n`` samples of so many positions.

    Args:
        n: samples.
        positions: of a sample.
        features: that a position has, read and written.
        weights: of the layer.
    """
    return (n * positions) ** 2 * features <= n * positions * weights + n**2 * weights


def _of(kind: type[Kind], uses: Iterable[Any]) -> list[Kind]:
    return [use for use in uses if isinstance(use, kind)]


def _linear(uses: Sequence[Any], n: int, cuts: Sequence[Cut]) -> list[Tensor]:
    left, right = (torch.cat([use[k] for use in uses], 1) for k in (0, 1))
    t, p, q = left.shape[1], left.shape[2], right.shape[2]
    if pairs_are_cheaper(n, t, p + q, p * q):
        return _pairs([(right, left)], cuts)
    chunks = left.split(max(1, HELD // (n * q)), 2)
    return _summed([torch.bmm(part.transpose(1, 2), _cut(right, cut, 2)) for cut in cuts] for part in chunks)


def _spelt_out(use: Words) -> Products:
    """An embedding as the linear layer of one-hot words that it is, to stand beside a linear layer."""
    words = functional.one_hot(use.ids, use.words).to(use.gradient.dtype)
    return Products(use.gradient, words) if use.turned else Products(words, use.gradient)


def _convolution(uses: Sequence[Patches], n: int, cuts: Sequence[Cut]) -> list[Tensor]:
    saved = uses[0].saved
    weight, groups = saved["weight"], int(saved["groups"])
    t = sum(use.gradient.shape[1] * math.prod(use.gradient.shape[3:]) for use in uses)
    width = weight[0].numel() * groups + weight.shape[0]
    transposed = any(use.saved["transposed"] for use in uses)
    if not transposed and pairs_are_cheaper(n, t, width, weight.numel()):
        both = [_positions(use, n) for use in uses]
        a, g = (torch.cat([one[k] for one in both], 1) for k in (0, 1))
        kernel = math.prod(weight.shape[2:])
        wider = [tuple(kernel * edge for edge in cut) for cut in cuts]
        return _pairs([(a[:, :, k], g[:, :, k]) for k in range(groups)], wider)
    rows = torch.stack([sum(_one_weight_gradient(use, i) for use in uses) for i in range(n)])  # type: ignore[misc]
    return [gram(_cut(rows, cut, 1 if transposed else 2).reshape(n, -1), 1, n) for cut in cuts]


def _positions(use: Patches, n: int) -> tuple[Tensor, Tensor]:
    """What a convolution reads ``[n, t, groups, c · k]`` and is handed ``[n, t, groups, o]`` at each position."""
    groups = int(use.saved["groups"])
    patches = _unfolded(use.given.flatten(0, 1), use.saved)  # [rows, positions, c, k]
    a = patches.reshape(n, -1, groups, patches.shape[2] // groups * patches.shape[3])
    return a, use.gradient.flatten(3).transpose(2, 3).reshape(n, a.shape[1], groups, -1)


def _one_weight_gradient(use: Patches, sample: int) -> Tensor:
    """Laid out anew: torch takes a sample of a batch in ``channels_last`` for what it is not (seen in float64)."""
    gradient, given = use.gradient[sample].contiguous(), use.given[sample].contiguous()
    saved, weight = use.saved, use.saved["weight"].to(gradient.dtype).contiguous()
    _, found, _ = torch.ops.aten.convolution_backward(
        gradient, given, weight, None, saved["stride"], saved["padding"], saved["dilation"],
        saved["transposed"], saved["output_padding"], saved["groups"], [False, True, False],
    )  # fmt: skip
    return found  # type: ignore[no-any-return]


def _unfolded(x: Tensor, saved: Any) -> Tensor:
    """The patch under the kernel at each output position, ``[rows, positions, c, k]``."""
    kernel = saved["weight"].shape[2:]
    padding = [edge for size in reversed(saved["padding"]) for edge in (size, size)]
    x = functional.pad(x, padding) if any(padding) else x
    rank = len(kernel)
    for axis in range(rank):
        step, apart = saved["stride"][axis], saved["dilation"][axis]
        x = x.unfold(2 + axis, (kernel[axis] - 1) * apart + 1, step)[..., ::apart]
    return x.flatten(2 + rank).flatten(2, 1 + rank).transpose(1, 2)


def _embedding(uses: Sequence[Words], n: int) -> list[Tensor]:
    ids, g = torch.cat([use.ids for use in uses], 1), torch.cat([use.gradient for use in uses], 1)
    known, place = torch.unique(ids, return_inverse=True)
    t, width, words = g.shape[1], g.shape[2], len(known)
    if pairs_are_cheaper(n, t, width, words * width):
        return _pairs([(functional.one_hot(place, words).to(g.dtype), g)], [()])
    rows = g.new_zeros(n, words, width)
    rows.scatter_add_(1, place.unsqueeze(2).expand_as(g), g)
    return [gram(rows.reshape(n, -1), 1, n)]


def _pairs(parts: Sequence[tuple[Tensor, Tensor]], cuts: Sequence[Cut]) -> list[Tensor]:
    """``Σ_{t, u} ⟨a_it, a_ju⟩ ⟨g_it, g_ju⟩``, a block of samples at a time, summed over groups."""
    n, t, _ = parts[0][0].shape
    found = [torch.zeros(n, n, dtype=torch.float64) for _ in cuts]
    block = max(1, BLOCK // (t * t * n))
    for a, g in parts:
        for start in range(0, n, block):
            rows = slice(start, start + block)
            agree = g[rows].reshape(-1, g.shape[2]) @ g.reshape(n * t, -1).T
            for number, cut in enumerate(cuts):
                own = _cut(a, cut, 2)
                alike = own[rows].reshape(-1, own.shape[2]) @ own.reshape(n * t, -1).T
                alike = (alike * agree).reshape(-1, t, n, t)
                found[number][rows] += alike.sum((1, 3), dtype=torch.float64).cpu()
    return found


def _summed(chunks: Iterable[list[Tensor]]) -> list[Tensor]:
    """Grams of weight gradients that are made a chunk of outputs at a time."""
    found: list[Tensor] = []
    for rows in chunks:
        own = [gram(part.reshape(len(part), -1), 1, len(part)) for part in rows]
        found = [a + b for a, b in zip(found, own, strict=True)] if found else own
    return found


def _cut(tensor: Tensor, cut: Cut, axis: int) -> Tensor:
    return tensor.narrow(axis, cut[0], cut[1] - cut[0]) if cut else tensor
