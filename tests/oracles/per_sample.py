"""Per-sample gradients the slow way: one sample, one loss, one backward pass at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
OPERATIONS = ("ConvolutionBackward", "AddmmBackward", "MmBackward", "LinearBackward")
Loss = Callable[[Tensor, Tensor], Tensor]


def layer_grams(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Gram ``[n, n]`` of the loss gradient at the output of every convolution and linear module.

    Valid where samples do not see each other (no BatchNorm in train mode). ``loss`` is of one
    sample. Layers that run more than once are not supported.
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
            found = torch.zeros_like(output) if gradient is None else gradient
            rows.setdefault(path, []).append(found.reshape(-1))
    return {path: gram(torch.stack(flat)) for path, flat in rows.items()}


def node_grams(model: nn.Module, loss: Loss, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """The same for every operation with a weight, in forward order, also functional ones."""
    rows: list[list[Tensor]] = []
    for x, y in zip(inputs.split(1), targets.split(1), strict=True):
        value = loss(model(x), y)
        found: dict[int, Tensor] = {}
        layers = sorted(_layers(value.grad_fn), key=lambda node: node._sequence_nr())
        for place, node in enumerate(layers):
            node.register_prehook(_store(found, place))
        torch.autograd.grad(value, [p for p in model.parameters() if p.requires_grad])
        rows.append([found[place].reshape(-1) for place in range(len(layers))])
    return [gram(torch.stack(flat)) for flat in zip(*rows, strict=True)]


def gram(rows: Tensor) -> Tensor:
    """``G Gᵀ`` of ``[n, ...]``, in float64, entry by entry."""
    flat = rows.detach().reshape(len(rows), -1).double()
    return torch.stack([torch.stack([(a * b).sum() for b in flat]) for a in flat])


def _keep(outputs: dict[str, Tensor], path: str) -> Any:
    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        outputs[path] = output.clone()  # in-place operations that follow change only the clone's copy
        return outputs[path].clone()

    return hook


def _store(found: dict[int, Tensor], place: int) -> Any:
    def hook(gradients: Any) -> None:
        found[place] = gradients[0].clone()

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
    return any(hasattr(one, "variable") for one in [*weights, *chained])
