"""The factors of a weight's per-sample gradient from one use of the weight, by kind of layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import Node as AutogradNode

from gradlens.errors import GradlensError
from gradlens.grams.rows import in_order, wide
from gradlens.graph import ops
from gradlens.graph.layout import Layout
from gradlens.graph.reading import SAVED

Saved = Mapping[str, Any]
"""Saved attributes of a node by name: tensors, numbers, flags and lists, as the operation declares them."""


class Products(NamedTuple):
    """Factors of a linear layer, whose gradient is ``Σ_t left_t right_tᵀ``.

    Attributes:
        left: ``[n, t, p]``, along the parameter's first axis; the output gradient (the input if stored transposed).
        right: ``[n, t, q]``, along its second axis; the input of the layer (the output gradient if stored transposed).
    """

    left: Tensor
    right: Tensor


class Words(NamedTuple):
    """Factors of an embedding, whose gradient has one row per word.

    Attributes:
        ids: ``[n, t]``, the words that are read.
        gradient: ``[n, t, w]``, at the output.
        words: number of rows of the embedding.
        turned: the parameter is stored as ``[width, words]``.
    """

    ids: Tensor
    gradient: Tensor
    words: int
    turned: bool


class Patches(NamedTuple):
    """The input and the output gradient of a convolution.

    Attributes:
        inputs: ``[n, r, c, …]``, what the layer reads; ``r`` images per sample.
        gradient: ``[n, r, o, …]``, at its output.
        saved: settings, and the weight.
    """

    inputs: Tensor
    gradient: Tensor
    saved: Saved


class Vectors(NamedTuple):
    """The per-sample gradients themselves, for a normalisation.

    Attributes:
        rows: ``[n, c]``.
    """

    rows: Tensor


def doubled(use: Use) -> Use:
    """Return a use with its factors in float64."""
    wider = (each.double() if isinstance(each, Tensor) and each.is_floating_point() else each for each in use)
    return type(use)(*wider)  # type: ignore[arg-type]  # the fields of the same kind of use


Outer = int | Layout
"""Size of the axes that vary slower than the samples, or the layout of rows in another order."""
Use = Products | Words | Patches | Vectors


def use_of(
    operation: str,
    saved: Saved,
    gradient: Tensor,
    outer: Outer,
    n: int,
    weight: tuple[int, ...],
    turned: bool = False,
    left: bool = False,
) -> Use:
    """Return one use of a weight.

    Args:
        operation: of the layer's node.
        saved: saved attributes of the node (``graph.reading.SAVED``).
        gradient: at the layer's output; reads as ``[outer, n, rest]``.
        outer: size of the axes that vary slower than the samples.
        n: samples.
        weight: its shape.
        turned: the axes of the parameter are stored in the other order (``graph.nodes.Node``).
        left: a product reads the weight on the left.

    Raises:
        GradlensError: an embedding that scales gradients by frequency.
    """
    if "BatchNorm" in operation:
        saved = {**saved, "width": weight[0]}
    if left:
        saved, gradient, outer = _left(operation, saved, gradient, outer)
    return _USES[operation](saved, wide(gradient), outer, n, turned)


def by_sample(tensor: Tensor, outer: Outer, n: int) -> Tensor:
    """Return ``[n, r, …]``: the rows along axis 0 sorted by the sample they belong to.

    Args:
        tensor: ``[outer · n · k, …]``, or with these as separate axes in front.
        outer: size of the axes that vary slower than the samples, or the layout of rows in another order.
        n: samples.
    """
    rest = tensor.shape[1:]
    if isinstance(outer, Layout):
        tensor = in_order(tensor, outer.rows, outer.outer, n)
    return tensor.reshape(_size(outer), n, -1, *rest).transpose(0, 1).reshape(n, -1, *rest)


def _size(outer: Outer) -> int:
    return outer.outer if isinstance(outer, Layout) else outer


def _linear(name: str) -> Callable[..., Use]:
    def use(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
        inputs = wide(saved[name]).to(gradient.dtype)
        alpha = float(saved.get("alpha") or 1.0)
        a = by_sample(inputs.reshape(-1, inputs.shape[-1]), outer, n)
        g = by_sample(gradient.reshape(-1, gradient.shape[-1]), outer, n) * alpha
        return Products(a, g) if turned else Products(g, a)

    return use


def _left(operation: str, saved: Saved, gradient: Tensor, outer: Outer) -> tuple[Saved, Tensor, int]:
    """Return a product ``W @ x`` as ``xᵀ @ Wᵀ``: what it saved, its gradient, and ``outer`` of that."""
    name = "mat1" if operation == "Addmm" else "self"
    turned = {**saved, name: saved["mat2"].transpose(-2, -1)}
    return turned, gradient.transpose(-2, -1), _size(outer) // gradient.shape[-2]


def _vector(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
    """Return a product of a matrix of inputs and a vector, a linear layer of one output."""
    return _vectors(wide(saved["self"]).to(gradient.dtype) * gradient.unsqueeze(1), outer, n)


def _experts(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
    """Return a product of several matrices: a linear layer if there is one, else the gradients of all experts."""
    inputs, experts = wide(saved["self"]).to(gradient.dtype), len(gradient)
    if experts == 1:
        return _linear("self")({"self": inputs}, gradient, outer, n, turned)
    pairs = zip(inputs, gradient, strict=True)
    rows = [[by_sample(part, _size(outer) // experts, n) for part in pair] for pair in pairs]
    return Vectors(torch.cat([torch.bmm(a.transpose(1, 2), g).flatten(1) for a, g in rows], 1))


def _convolution(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
    inputs = by_sample(wide(saved["input"]).to(gradient.dtype), outer, n)
    return Patches(inputs, by_sample(gradient, outer, n), saved)


def _embedding(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
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
    def use(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
        if saved["training"]:
            mean, scale = saved["result1"], saved["result2"]
        else:
            mean, scale = saved["running_mean"], (saved["running_var"] + saved[epsilon]).rsqrt()
        vectors = _centred_products(gradient, wide(saved["input"]), mean) * scale
        if vectors.shape[1] != saved["width"]:  # an instance norm folds the images into the channels
            return _vectors(vectors.reshape(-1, saved["width"]), 1, n)
        return _vectors(vectors, outer, n)

    return use


def _centred_products(gradient: Tensor, inputs: Tensor, mean: Tensor) -> Tensor:
    """Return ``Σ g (x - mean)`` over the positions, by row and channel ``[rows, c]``; on a CPU row by row, in cache."""
    shape = (1, -1, *[1] * (gradient.dim() - 2))
    rows = 1 if gradient.is_cpu and gradient[0].numel() >= 1 << 14 else max(len(gradient), 1)
    parts = [
        (x.to(g.dtype) - mean.reshape(shape)).mul_(g).flatten(2).sum(2) if x.dim() > 2 else (x - mean) * g
        for x, g in zip(inputs.split(rows), gradient.split(rows), strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _group_norm(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
    inputs, groups = wide(saved["input"]), int(saved["group"])
    mean, scale = (saved[name].reshape(len(inputs), groups, 1) for name in ("result1", "result2"))
    x = ((inputs.reshape(len(inputs), groups, -1) - mean) * scale).reshape(gradient.shape)
    return _vectors((gradient * x).flatten(2).sum(2) if gradient.dim() > 2 else gradient * x, outer, n)


def _layer_norm(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
    x = (wide(saved["input"]) - saved["result1"]) * saved["result2"]
    return _vectors((gradient * x).reshape(-1, math.prod(saved["normalized_shape"])), outer, n)


def _gain(saved: Saved, gradient: Tensor, outer: Outer, n: int, turned: bool) -> Use:
    """Return the gradient of a weight that is a factor of any broadcast shape: products summed by weight element."""
    weight, products = saved["weight"], gradient * wide(saved["data"])
    numbers = torch.arange(weight.numel(), device=products.device).reshape(weight.shape)
    pair = (numbers.expand(products.shape), products)
    positions, values = (
        tensor.reshape(_size(outer), n, -1).transpose(0, 1).reshape(n, -1) for tensor in pair
    )
    return Vectors(products.new_zeros(n, weight.numel()).scatter_add_(1, positions, values))


def _vectors(rows: Tensor, outer: Outer, n: int) -> Use:
    """Sum rows ``[outer · n · k, c]`` by sample, for a weight with one value per feature."""
    return Vectors(by_sample(rows, outer, n).sum(1))


_USES: dict[str, Callable[..., Use]] = {
    "Convolution": _convolution,
    "Addmm": _linear("mat1"),
    "Mm": _linear("self"),
    "Bmm": _experts,
    "Mv": _vector,
    "Linear": _linear("input"),
    "Embedding": _embedding,
    "NativeBatchNorm": _batch_norm("eps"),
    "CudnnBatchNorm": _batch_norm("epsilon"),
    "NativeLayerNorm": _layer_norm,
    "NativeGroupNorm": _group_norm,
    "Mul": _gain,
}


def saved_of(node: AutogradNode, operation: str, gain: int = 0) -> Saved:
    """Return the saved tensors and settings of a layer's node; autograd frees them once the node has run.

    Args:
        node: a live node.
        operation: its family.
        gain: for a product, the index of the input that is the weight.
    """
    saved = {name: getattr(node, f"_saved_{name}", None) for name in SAVED[operation]}
    if operation in ops.PRODUCTS:
        first, second = (saved[name] for name in SAVED[operation])
        return {"weight": second, "data": first} if gain else {"weight": first, "data": second}
    return saved
