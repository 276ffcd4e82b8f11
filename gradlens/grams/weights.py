"""Grams of per-sample weight gradients, weight by weight, exact, by the cheaper of two methods.

With inputs ``A`` and output gradients ``G`` of ``t`` positions per sample, a sample's weight gradient is
``Σ_t g_t a_tᵀ``. *Direct*: compute it for each sample, then the Gram. *Pairs*: never compute it,
``K_ij = Σ_{t, u} ⟨a_it, a_ju⟩ ⟨g_it, g_ju⟩``, cheaper if positions are few and weights many. The gradient of
a weight that is used several times is the sum over its uses: their positions are concatenated. In train
mode a normalisation couples the samples; the summands are then a sample's share of the gradient of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from gradlens.grams.gram import gram
from gradlens.grams.product import full_precision, grams_of_parts
from gradlens.grams.rows import Chunks
from gradlens.grams.uses import Patches, Products, Saved, Use, Vectors, Words, doubled

Cut = tuple[int, ...]
"""Input channels (start, stop) of a weight; an empty tuple means all."""
BLOCK = 1 << 22
"""Largest number of products of positions computed at a time."""
HELD = 1 << 26
"""Largest number of elements of per-sample weight gradients computed at a time."""
MOVED = 200
"""Multiply-adds that take as long as to write and read an element of a per-sample weight gradient."""
PAIRS = 1.6
"""Time of a multiply-add of *pairs* by that of *direct*."""
Kind = TypeVar("Kind")


def weight_grams(
    uses: Sequence[Use], n: int, cuts: Sequence[Cut] = ((),), *, double: bool = False
) -> list[Tensor]:
    """Return Grams ``[n, n]`` float64 of the per-sample gradients of a weight, one per cut of its input channels.

    Args:
        uses: one or more uses of one weight.
        n: samples.
        cuts: input channels; only convolutions without groups and linear layers of one use have several.
        double: compute in float64.
    """
    with full_precision():
        return _weight_grams(list(map(doubled, uses)) if double else uses, n, cuts)


def _weight_grams(uses: Sequence[Use], n: int, cuts: Sequence[Cut]) -> list[Tensor]:
    vectors, patches, words = _of(Vectors, uses), _of(Patches, uses), _of(Words, uses)
    if vectors:
        return [gram(sum((use.rows for use in vectors[1:]), vectors[0].rows), 1, n)]
    if patches:
        return _convolution(patches, n, cuts)
    if len(words) == len(uses) and len({use.turned for use in words}) == 1:
        return _embedding(words, n)
    products = [_one_hot(use) if isinstance(use, Words) else use for use in uses]
    return _linear(_of(Products, products), n, cuts)


def pairs_are_cheaper(n: int, positions: int, features: int, weights: int) -> bool:
    """Return whether *pairs* takes less time than *direct*, which also writes and reads the gradients it computes.

    Measured on a CPU with 8 to 32 samples: *direct* takes 6 to 11 ns for each of its elements, however few positions
    there are, and a multiply-add of *pairs*, with its patches, 1.6 times as long as one of *direct* (0.02 ns).

    Args:
        n: samples.
        positions: positions per sample.
        features: features read and written per position.
        weights: number of weights of the layer.
    """
    return PAIRS * (n * positions) ** 2 * features <= n * weights * (positions + n + MOVED)


def _of(kind: type[Kind], uses: Iterable[Use]) -> list[Kind]:
    return [use for use in uses if isinstance(use, kind)]


def _linear(uses: Sequence[Products], n: int, cuts: Sequence[Cut]) -> list[Tensor]:
    left, right = _joined([use.left for use in uses]), _joined([use.right for use in uses])
    t, p, q = left.shape[1], left.shape[2], right.shape[2]
    if pairs_are_cheaper(n, t, p + q, p * q):
        return _pairs([(right, left)], cuts)
    chunks = left.split(max(1, HELD // (n * q)), 2)
    if len(cuts) > 1 and p >= n:  # else the Grams of single inputs are larger than the gradient
        turned = (torch.bmm(right.transpose(1, 2), part) for part in chunks)
        return _added(
            [grams_of_parts(Chunks(rows.transpose(0, 1)), list(map(_slice, cuts))) for rows in turned]
        )
    return _summed((torch.bmm(part.transpose(1, 2), right) for part in chunks), cuts)


def _one_hot(use: Words) -> Products:
    """Return an embedding as a linear layer of one-hot words, so that both can share a weight."""
    words = functional.one_hot(use.ids, use.words).to(use.gradient.dtype)
    return Products(use.gradient, words) if use.turned else Products(words, use.gradient)


def _convolution(uses: Sequence[Patches], n: int, cuts: Sequence[Cut]) -> list[Tensor]:
    saved = uses[0].saved
    weight, groups = saved["weight"], int(saved["groups"])
    t = sum(use.gradient.shape[1] * math.prod(use.gradient.shape[3:]) for use in uses)
    width = weight[0].numel() * groups + weight.shape[0]
    transposed = any(use.saved["transposed"] for use in uses)
    if all(map(_is_linear, uses)):
        return _linear(list(map(_by_position, uses)), n, cuts)
    if not transposed and pairs_are_cheaper(n, t, width, weight.numel()):
        both = [_positions(use, n) for use in uses]
        a, g = (_joined([pair[k] for pair in both]) for k in (0, 1))
        kernel = math.prod(weight.shape[2:])
        wider = [tuple(kernel * edge for edge in cut) for cut in cuts]
        return _pairs([(a[:, :, k], g[:, :, k]) for k in range(groups)], wider)
    rows = uses[0].gradient.new_empty(n, *weight.shape)
    for sample in range(n):
        rows[sample] = _one_weight_gradient(uses[0], sample)
        for use in uses[1:]:
            rows[sample] += _one_weight_gradient(use, sample)
    return _cut_grams(rows, cuts, 1 if transposed else 2)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Return the positions ``[n, t, ...]`` of all uses."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), 1)


def _is_linear(use: Patches) -> bool:
    """Return whether a convolution is a linear layer at each position that it reads."""
    saved = use.saved
    size = math.prod(saved["weight"].shape[2:])
    return size == 1 and saved["groups"] == 1 and not saved["transposed"] and not any(saved["padding"])


def _by_position(use: Patches) -> Products:
    """Return the factors of a convolution that is a linear layer at each position."""
    inputs = use.inputs
    for axis, step in enumerate(use.saved["stride"], 3):
        inputs = inputs[(*[slice(None)] * axis, slice(None, None, step))]
    left, right = (tensor.flatten(3).transpose(2, 3).flatten(1, 2) for tensor in (use.gradient, inputs))
    return Products(left, right)


def _positions(use: Patches, n: int) -> tuple[Tensor, Tensor]:
    """Return inputs ``[n, t, groups, c · k]`` and output gradients ``[n, t, groups, o]`` of a convolution."""
    groups = int(use.saved["groups"])
    patches = _unfolded(use.inputs.flatten(0, 1), use.saved)  # [rows, positions, c, k]
    a = patches.reshape(n, -1, groups, patches.shape[2] // groups * patches.shape[3])
    return a, use.gradient.flatten(3).transpose(2, 3).reshape(n, a.shape[1], groups, -1)


def _one_weight_gradient(use: Patches, sample: int) -> Tensor:
    """Return the weight gradient of one sample.

    The sample is made contiguous, because torch misreads one of a ``channels_last`` batch (observed in float64).
    """
    gradient, inputs = use.gradient[sample].contiguous(), use.inputs[sample].contiguous()
    saved, weight = use.saved, use.saved["weight"].to(gradient.dtype).contiguous()
    _, weight_gradient, _ = torch.ops.aten.convolution_backward(
        gradient, inputs, weight, None, saved["stride"], saved["padding"], saved["dilation"],
        saved["transposed"], saved["output_padding"], saved["groups"], [False, True, False],
    )  # fmt: skip
    return weight_gradient  # type: ignore[no-any-return]


def _unfolded(x: Tensor, saved: Saved) -> Tensor:
    """Return the patch under the kernel at each output position, ``[rows, positions, c, k]``."""
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
    indices, words = _numbered(ids, uses[0].words)
    t, width = g.shape[1], g.shape[2]
    if pairs_are_cheaper(n, t, width, words * width):
        return _pairs([(functional.one_hot(indices, words).to(g.dtype), g)], [()])
    parts = g.split(max(1, HELD // (n * words)), 2)
    rows = (
        part.new_zeros(n, words, part.shape[2]).scatter_add_(1, indices.unsqueeze(2).expand_as(part), part)
        for part in parts
    )
    return _summed(rows, [()])


def _numbered(ids: Tensor, vocabulary: int) -> tuple[Tensor, int]:
    """Return words by a number below a bound, and the bound: few on a CPU, elsewhere without waiting for the ids."""
    if ids.is_cpu:
        distinct, indices = torch.unique(ids, return_inverse=True)
        return indices, len(distinct)
    if vocabulary <= ids.numel():
        return ids, vocabulary
    ordered, places = ids.flatten().sort()
    ranks = torch.cat([ordered.new_zeros(1), (ordered[1:] != ordered[:-1]).cumsum(0)])
    return torch.empty_like(ranks).scatter_(0, places, ranks).reshape(ids.shape), ids.numel()


def _pairs(parts: Sequence[tuple[Tensor, Tensor]], cuts: Sequence[Cut]) -> list[Tensor]:
    """Return ``Σ_{t, u} ⟨a_it, a_ju⟩ ⟨g_it, g_ju⟩`` summed over groups, computed in blocks of samples."""
    n, t, _ = parts[0][0].shape
    grams = [torch.zeros(n, n, dtype=torch.float64, device=parts[0][0].device) for _ in cuts]
    block = max(1, BLOCK // (t * t * n))
    for a, g in parts:
        for start in range(0, n, block):
            rows = slice(start, start + block)
            gradients = g[rows].reshape(-1, g.shape[2]) @ g.reshape(n * t, -1).T
            for total, cut in zip(grams, cuts, strict=True):
                part = _cut(a, cut, 2)
                inputs = part[rows].reshape(-1, part.shape[2]) @ part.reshape(n * t, -1).T
                products = (inputs * gradients).reshape(-1, t, n, t)
                total[rows] += products.sum((1, 3), dtype=torch.float64)
    return grams


def _summed(chunks: Iterable[Tensor], cuts: Sequence[Cut]) -> list[Tensor]:
    """Return the Grams of weight gradients ``[n, p, q]`` that are computed in chunks of outputs."""
    return _added([_cut_grams(rows, cuts, 2) for rows in chunks])


def _added(grams: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return the sums of the Grams of chunks, by cut."""
    return [sum(of_cut[1:], of_cut[0]) for of_cut in zip(*grams, strict=True)]


def _slice(cut: Cut) -> slice:
    return slice(*cut) if cut else slice(None)


def _cut_grams(rows: Tensor, cuts: Sequence[Cut], axis: int) -> list[Tensor]:
    """Return the Gram of weight gradients ``[n, ...]`` for each cut along an axis."""
    n = len(rows)
    return [gram(_cut(rows, cut, axis).reshape(n, -1), 1, n) for cut in cuts]


def _cut(tensor: Tensor, cut: Cut, axis: int) -> Tensor:
    return tensor.narrow(axis, cut[0], cut[1] - cut[0]) if cut else tensor
