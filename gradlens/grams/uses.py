"""What one use of a weight leaves of its gradient, sample by sample, by the kind of layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import Node as AutogradNode

from gradlens.errors import GradlensError
from gradlens.grams.projection import wide
from gradlens.graph import ops
from gradlens.graph.reading import SAVED


class Products(NamedTuple):
    """The gradient is ``Σ_t left_t right_tᵀ``: of a linear layer.

    Attributes:
        left: ``[n, t, p]``, along the parameter's first axis: the gradient at the output.
        right: ``[n, t, q]``, along its second: what the layer read.
    """

    left: Tensor
    right: Tensor


class Words(NamedTuple):
    """The gradient has a row a word: of an embedding.

    Attributes:
        ids: ``[n, t]``, the words read.
        gradient: ``[n, t, w]``.
        words: rows of the embedding.
        turned: the parameter stands as ``[width, words]``.
    """

    ids: Tensor
    gradient: Tensor
    words: int
    turned: bool


class Patches(NamedTuple):
    """Of a convolution.

    Attributes:
        given: ``[n, r, c, …]``, what the layer read; ``r`` images a sample.
        gradient: ``[n, r, o, …]``, at its output.
        saved: settings, and the weight.
    """

    given: Tensor
    gradient: Tensor
    saved: Mapping[str, Any]


class Vectors(NamedTuple):
    """The gradients themselves: of a normalisation.

    Attributes:
        rows: ``[n, c]``.
    """

    rows: Tensor


Use = Products | Words | Patches | Vectors


def use_of(
    operation: str,
    saved: Mapping[str, Any],
    gradient: Tensor,
    outer: int,
    n: int,
    weight: tuple[int, ...],
    turned: bool = False,
) -> Use:
    """One use of a weight.

    Args:
        operation: of the layer's node.
        saved: what the node saved (``hooks.reading.SAVED``).
        gradient: at the layer's output; reads as ``[outer, n, rest]``.
        outer: what varies slower than the samples.
        n: samples.
        weight: its shape.
        turned: the parameter's axes stand the other way round (``hooks.learning``).

    Raises:
        GradlensError: an embedding that scales gradients by frequency.
    """
    if "BatchNorm" in operation:
        saved = {**saved, "width": weight[0]}
    return _USES[operation](saved, wide(gradient), outer, n, turned)


def by_sample(tensor: Tensor, outer: int, n: int) -> Tensor:
    """``[n, r, …]``: the rows along axis 0 sorted by the sample they belong to.

    Args:
        tensor: ``[outer · n · k, …]``, or with these as separate axes in front.
        outer: what varies slower than the samples.
        n: samples.
    """
    rest = tensor.shape[1:]
    return tensor.reshape(outer, n, -1, *rest).transpose(0, 1).reshape(n, -1, *rest)


def _linear(name: str) -> Callable[..., Use]:
    def use(saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, turned: bool) -> Use:
        given = wide(saved[name]).to(gradient.dtype)
        alpha = float(saved.get("alpha") or 1.0)
        a = by_sample(given.reshape(-1, given.shape[-1]), outer, n)
        g = by_sample(gradient.reshape(-1, gradient.shape[-1]), outer, n) * alpha
        return Products(a, g) if turned else Products(g, a)

    return use


def _convolution(saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, turned: bool) -> Use:
    given = by_sample(wide(saved["input"]).to(gradient.dtype), outer, n)
    return Patches(given, by_sample(gradient, outer, n), saved)


def _embedding(saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, turned: bool) -> Use:
    if saved["scale_grad_by_freq"]:
        raise GradlensError(
            "an embedding with scale_grad_by_freq=True couples the samples; weight space cannot split its gradient"
        )
    g = by_sample(gradient.reshape(-1, gradient.shape[-1]), outer, n)
    ids = by_sample(saved["indices"].reshape(-1, 1), outer, n).squeeze(2)
    padding = int(saved["padding_idx"])
    if padding >= 0:
        g = g * (ids != padding).unsqueeze(2)
    return Words(ids, g, int(saved["weight_sym_argsize_0"]), turned)


def _batch_norm(epsilon: str) -> Callable[..., Use]:
    def use(saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, turned: bool) -> Use:
        if saved["training"]:
            mean, scale = saved["result1"], saved["result2"]
        else:
            mean, scale = saved["running_mean"], (saved["running_var"] + saved[epsilon]).rsqrt()
        shape = (1, -1, *[1] * (gradient.dim() - 2))
        x = (wide(saved["input"]) - mean.reshape(shape)) * scale.reshape(shape)
        vectors = (gradient * x).flatten(2).sum(2) if gradient.dim() > 2 else gradient * x
        if vectors.shape[1] != saved["width"]:  # an instance norm has the images among the channels
            return _vectors(vectors.reshape(-1, saved["width"]), 1, n)
        return _vectors(vectors, outer, n)

    return use


def _group_norm(saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, turned: bool) -> Use:
    given = wide(saved["input"])
    mean, scale = (saved[name].reshape(len(given), int(saved["group"]), 1) for name in ("result1", "result2"))
    x = ((given.reshape(len(given), int(saved["group"]), -1) - mean) * scale).reshape(gradient.shape)
    return _vectors((gradient * x).flatten(2).sum(2) if gradient.dim() > 2 else gradient * x, outer, n)


def _layer_norm(saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, turned: bool) -> Use:
    x = (wide(saved["input"]) - saved["result1"]) * saved["result2"]
    return _vectors((gradient * x).reshape(-1, math.prod(saved["normalized_shape"])), outer, n)


def _gain(saved: Mapping[str, Any], gradient: Tensor, outer: int, n: int, turned: bool) -> Use:
    """A weight that is multiplied in, of any shape that broadcasts: products are summed by their place in it."""
    weight, given = saved["weight"], saved["data"]
    product = gradient * wide(given)
    place = torch.arange(weight.numel(), device=product.device).reshape(weight.shape).expand(product.shape)
    where, values = (one.reshape(outer, n, -1).transpose(0, 1).reshape(n, -1) for one in (place, product))
    return Vectors(product.new_zeros(n, weight.numel()).scatter_add_(1, where, values))


def _vectors(rows: Tensor, outer: int, n: int) -> Use:
    """Of a weight with one value a feature: rows ``[outer · n · k, c]`` are summed by sample."""
    return Vectors(by_sample(rows, outer, n).sum(1))


_USES: dict[str, Callable[..., Use]] = {
    "Convolution": _convolution,
    "Addmm": _linear("mat1"),
    "Mm": _linear("self"),
    "Linear": _linear("input"),
    "Embedding": _embedding,
    "NativeBatchNorm": _batch_norm("eps"),
    "CudnnBatchNorm": _batch_norm("epsilon"),
    "NativeLayerNorm": _layer_norm,
    "NativeGroupNorm": _group_norm,
    "Mul": _gain,
}


def saved_of(node: AutogradNode, operation: str, gain: int = 0) -> dict[str, Any]:
    """The saved tensors and settings of a layer's node; they are gone once the node has run.

    Args:
        node: live.
        operation: its family.
        gain: of a product, the input that is the weight.
    """
    found = {name: getattr(node, f"_saved_{name}", None) for name in SAVED[operation]}
    if operation in ops.PRODUCTS:
        first, second = (found[name] for name in SAVED[operation])
        return {"weight": second, "data": first} if gain else {"weight": first, "data": second}
    return found
