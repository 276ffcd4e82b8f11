"""Grams of per-sample weight gradients, layer by layer, exact, by the cheaper of two ways.

With inputs ``A`` and output gradients ``G`` of ``t`` positions a sample, a sample's weight gradient is
``Σ_t g_t a_tᵀ``. *Direct*: make it for each sample, then the Gram. *Pairs*: never make it,
``K_ij = Σ_{t, u} ⟨a_it, a_ju⟩ ⟨g_it, g_ju⟩``, cheaper where positions are few and weights many. In train
mode a normalisation couples the samples; the summands are then a sample's share of the batch's gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gradlens.errors import GradlensError
from gradlens.grams.gram import gram
from gradlens.grams.projection import wide

Cut = tuple[int, ...]
"""Input channels (start, stop) of a weight; empty for all."""
BLOCK = 1 << 22
"""Products of positions made at a time."""
HELD = 1 << 26
"""Elements of per-sample weight gradients made at a time."""


def weight_grams(
    operation: str,
    saved: Mapping[str, Any],
    gradient: Tensor,
    outer: int,
    n: int,
    cuts: Sequence[Cut] = ((),),
) -> list[Tensor]:
    """``[n, n]`` float64 of the per-sample gradients of a layer's weight, one a cut of its input channels.

    Args:
        operation: of the layer's node.
        saved: what the node saved (``hooks.reading.SAVED``).
        gradient: at the layer's output; reads as ``[outer, n, rest]``.
        outer: what varies slower than the samples.
        n: samples.
        cuts: input channels; only convolutions without groups and linear layers have several.

    Raises:
        GradlensError: an embedding that scales gradients by frequency.
    """
    return _WAYS[operation](saved, wide(gradient), outer, n, cuts)


def pairs_are_cheaper(n: int, positions: int, features: int, weights: int) -> bool:
    """Multiply-adds of the two ways, for ``n`` samples of so many positions.

    Args:
        n: samples.
        positions: of a sample.
        features: that a position has, read and written.
        weights: of the layer.
    """
    return (n * positions) ** 2 * features <= n * positions * weights + n**2 * weights


def by_sample(tensor: Tensor, outer: int, n: int) -> Tensor:
    """``[n, r, …]``: the rows along axis 0 sorted by the sample they belong to.

    Args:
        tensor: ``[outer · n · k, …]``, or with these as separate axes in front.
        outer: what varies slower than the samples.
        n: samples.
    """
    rest = tensor.shape[1:]
    return tensor.reshape(outer, n, -1, *rest).transpose(0, 1).reshape(n, -1, *rest)


def _linear(name: str) -> Callable[..., list[Tensor]]:
    def grams(
        saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, cuts: Sequence[Cut]
    ) -> list[Tensor]:
        given = wide(saved[name]).to(gradient.dtype)
        alpha = float(saved.get("alpha") or 1.0)
        a = by_sample(given.reshape(-1, given.shape[-1]), outer, n)
        g = by_sample(gradient.reshape(-1, gradient.shape[-1]), outer, n) * alpha
        t, i, o = a.shape[1], a.shape[2], g.shape[2]
        if pairs_are_cheaper(n, t, i + o, i * o):
            return _pairs([(a, g)], cuts)
        return _summed(
            (
                [torch.bmm(part.transpose(1, 2), _cut(a, cut, 2)) for cut in cuts]
                for part in g.split(_chunk(n * i), 2)
            ),
        )

    return grams


def _convolution(
    saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, cuts: Sequence[Cut]
) -> list[Tensor]:
    weight, groups = saved["weight"], int(saved["groups"])
    given = by_sample(wide(saved["input"]).to(gradient.dtype), outer, n)
    g = by_sample(gradient, outer, n)
    t = g.shape[1] * math.prod(g.shape[3:])
    size, width = weight.numel(), weight[0].numel() * groups + weight.shape[0]
    if not saved["transposed"] and pairs_are_cheaper(n, t, width, size):
        patches = _unfolded(given.flatten(0, 1), saved)  # [rows, positions, c, k]
        a = patches.reshape(n, -1, groups, patches.shape[2] // groups, patches.shape[3])
        positions = g.flatten(3).transpose(2, 3).reshape(n, t, groups, -1)
        kernel = patches.shape[3]
        wider = [tuple(kernel * edge for edge in cut) for cut in cuts]
        return _pairs([(a[:, :, k].flatten(2), positions[:, :, k]) for k in range(groups)], wider)
    rows = torch.stack([_one_weight_gradient(given[i], g[i], saved) for i in range(n)])
    axis = 1 if saved["transposed"] else 2
    return [gram(_cut(rows, cut, axis).reshape(n, -1), 1, n) for cut in cuts]


def _one_weight_gradient(given: Tensor, gradient: Tensor, saved: Mapping[str, Any]) -> Tensor:
    _, found, _ = torch.ops.aten.convolution_backward(
        gradient, given, saved["weight"].to(gradient.dtype), None, saved["stride"], saved["padding"],
        saved["dilation"], saved["transposed"], saved["output_padding"], saved["groups"], [False, True, False],
    )  # fmt: skip
    return found  # type: ignore[no-any-return]


def _unfolded(x: Tensor, saved: Mapping[str, Any]) -> Tensor:
    """The patch under the kernel at each output position, ``[rows, positions, c, k]``."""
    kernel = saved["weight"].shape[2:]
    padding = [edge for size in reversed(saved["padding"]) for edge in (size, size)]
    x = functional.pad(x, padding) if any(padding) else x
    rank = len(kernel)
    for axis in range(rank):
        step, apart = saved["stride"][axis], saved["dilation"][axis]
        x = x.unfold(2 + axis, (kernel[axis] - 1) * apart + 1, step)[..., ::apart]
    return x.flatten(2 + rank).flatten(2, 1 + rank).transpose(1, 2)


def _embedding(
    saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, cuts: Sequence[Cut]
) -> list[Tensor]:
    if saved["scale_grad_by_freq"]:
        raise GradlensError(
            "an embedding with scale_grad_by_freq=True couples the samples; weight space cannot split its gradient"
        )
    g = by_sample(gradient.reshape(-1, gradient.shape[-1]), outer, n)
    ids = by_sample(saved["indices"].reshape(-1, 1), outer, n).squeeze(2)
    padding = int(saved["padding_idx"])
    if padding >= 0:
        g = g * (ids != padding).unsqueeze(2)
    known, place = torch.unique(ids, return_inverse=True)
    t, width, words = g.shape[1], g.shape[2], len(known)
    if pairs_are_cheaper(n, t, width, words * width):
        return _pairs([(functional.one_hot(place, words).to(g.dtype), g)], [()])
    rows = g.new_zeros(n, words, width)
    rows.scatter_add_(1, place.unsqueeze(2).expand_as(g), g)
    return [gram(rows.reshape(n, -1), 1, n)]


def _batch_norm(epsilon: str) -> Callable[..., list[Tensor]]:
    def grams(
        saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, cuts: Sequence[Cut]
    ) -> list[Tensor]:
        if saved["training"]:
            mean, scale = saved["result1"], saved["result2"]
        else:
            mean, scale = saved["running_mean"], (saved["running_var"] + saved[epsilon]).rsqrt()
        shape = (1, -1, *[1] * (gradient.dim() - 2))
        x = (wide(saved["input"]) - mean.reshape(shape)) * scale.reshape(shape)
        vectors = (gradient * x).flatten(2).sum(2) if gradient.dim() > 2 else gradient * x
        instance = vectors.shape[0] == 1 < n  # an instance norm has the samples among the channels
        return _vectors(vectors.reshape(n, -1) if instance else vectors, outer, n)

    return grams


def _group_norm(
    saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, cuts: Sequence[Cut]
) -> list[Tensor]:
    given = wide(saved["input"])
    mean, scale = (saved[name].reshape(len(given), int(saved["group"]), 1) for name in ("result1", "result2"))
    x = ((given.reshape(len(given), int(saved["group"]), -1) - mean) * scale).reshape(gradient.shape)
    return _vectors((gradient * x).flatten(2).sum(2) if gradient.dim() > 2 else gradient * x, outer, n)


def _layer_norm(
    saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, cuts: Sequence[Cut]
) -> list[Tensor]:
    x = (wide(saved["input"]) - saved["result1"]) * saved["result2"]
    return _vectors((gradient * x).reshape(-1, math.prod(saved["normalized_shape"])), outer, n)


def _vectors(rows: Tensor, outer: int, n: int) -> list[Tensor]:
    """Of a weight with one value a feature: rows ``[outer · n · k, c]`` are summed by sample."""
    return [gram(by_sample(rows, outer, n).sum(1), 1, n)]


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


def _summed(chunks: Any) -> list[Tensor]:
    """Grams of weight gradients that are made a chunk of outputs at a time."""
    found: list[Tensor] = []
    for rows in chunks:
        own = [gram(part.reshape(len(part), -1), 1, len(part)) for part in rows]
        found = [a + b for a, b in zip(found, own, strict=True)] if found else own
    return found


def _chunk(each: int) -> int:
    return max(1, HELD // each)


def _cut(tensor: Tensor, cut: Cut, axis: int) -> Tensor:
    return tensor.narrow(axis, cut[0], cut[1] - cut[0]) if cut else tensor


_WAYS: dict[str, Callable[..., list[Tensor]]] = {
    "Convolution": _convolution,
    "Addmm": _linear("mat1"),
    "Mm": _linear("self"),
    "Linear": _linear("input"),
    "Embedding": _embedding,
    "NativeBatchNorm": _batch_norm("eps"),
    "CudnnBatchNorm": _batch_norm("epsilon"),
    "NativeLayerNorm": _layer_norm,
    "NativeGroupNorm": _group_norm,
}
