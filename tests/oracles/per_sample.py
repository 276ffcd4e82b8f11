"""Slow reference for per-sample gradients: one backward pass per sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
OPERATIONS = ("ConvolutionBackward", "AddmmBackward", "MmBackward", "LinearBackward")
Loss = Callable[[Tensor, Tensor], Tensor]


def layer_grams(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Return the Gram ``[n, n]`` of the loss gradient at the output of each convolution and linear module.

    Valid if samples do not affect each other (no BatchNorm in train mode). ``loss`` takes one sample.
    Layers that run more than once are not supported.
    """
    rows: dict[str, list[Tensor]] = {}
    for x, y in zip(inputs.split(1), targets.split(1), strict=True):
        outputs: dict[str, Tensor] = {}
        handles = [
            module.register_forward_hook(_keep(outputs, path))
            for path, module in model.named_modules()
            if isinstance(module, LAYERS)
        ]
        try:
            value = loss(model(x), y)
        finally:
            for handle in handles:
                handle.remove()
        gradients = torch.autograd.grad(value, list(outputs.values()), allow_unused=True)
        for (path, output), gradient in zip(outputs.items(), gradients, strict=True):
            values = torch.zeros_like(output) if gradient is None else gradient
            rows.setdefault(path, []).append(values.reshape(-1))
    return {path: gram(torch.stack(flat)) for path, flat in rows.items()}


def node_grams(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """Return such a Gram for each operation with a weight, in forward order, including functional calls."""
    rows: list[list[Tensor]] = []
    for x, y in zip(inputs.split(1), targets.split(1), strict=True):
        value = loss(model(x), y)
        gradients: dict[int, Tensor] = {}
        layers = sorted(_layers(value.grad_fn), key=lambda node: node._sequence_nr())
        for index, node in enumerate(layers):
            node.register_prehook(_store(gradients, index))
        torch.autograd.grad(value, [p for p in model.parameters() if p.requires_grad])
        rows.append([gradients[index].reshape(-1) for index in range(len(layers))])
    return [gram(torch.stack(flat)) for flat in zip(*rows, strict=True)]


def gram(rows: Tensor) -> Tensor:
    """Return ``G Gᵀ`` of ``[n, ...]`` in float64, entry by entry."""
    flat = rows.detach().reshape(len(rows), -1).double()
    return torch.stack([torch.stack([(a * b).sum() for b in flat]) for a in flat])


def _keep(outputs: dict[str, Tensor], path: str) -> Any:
    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        outputs[path] = output.clone()  # later in-place operations change only the returned copy
        return outputs[path].clone()

    return hook


def _store(gradients: dict[int, Tensor], index: int) -> Any:
    def hook(outputs: Any) -> None:
        gradients[index] = outputs[0].clone()

    return hook


def _layers(root: Any) -> list[Any]:
    seen, ready = {root}, [root]
    for node in ready:
        for producer, _ in node.next_functions:
            if producer is not None and producer not in seen:
                seen.add(producer)
                ready.append(producer)
    return [node for node in seen if node.name().startswith(OPERATIONS) and _reads_parameter(node)]


def _reads_parameter(node: Any) -> bool:
    weights = [producer for producer, _ in node.next_functions if producer is not None]
    chained = [
        p for w in weights for p, _ in w.next_functions if p is not None and w.name().startswith("TBackward")
    ]
    return any(hasattr(producer, "variable") for producer in [*weights, *chained])
