"""Slow reference for several losses: one ``autograd.grad`` per loss and sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Losses = Mapping[str, Callable[[object, Tensor], Tensor]]


def sample_gradients(
    model: nn.Module, losses: Losses, inputs: Tensor, targets: Tensor
) -> dict[str, dict[str, Tensor]]:
    """Return, by loss and path of a convolution or linear module, the gradient at its output, ``[n, d]``.

    Valid if samples do not affect each other. A layer that a loss does not reach has a gradient of zero.
    """
    rows: dict[str, dict[str, list[Tensor]]] = {name: {} for name in losses}
    for x, y in zip(inputs.split(1), targets.split(1), strict=True):
        outputs, handles = {}, []
        for path, module in model.named_modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                handles.append(module.register_forward_hook(_keep(outputs, path)))
        result = model(x)
        for handle in handles:
            handle.remove()
        for name, loss in losses.items():
            gradients = torch.autograd.grad(
                loss(result, y), list(outputs.values()), allow_unused=True, retain_graph=True
            )
            for (path, output), gradient in zip(outputs.items(), gradients, strict=True):
                value = torch.zeros_like(output) if gradient is None else gradient
                rows[name].setdefault(path, []).append(value.detach().reshape(-1).double())
    return {
        name: {path: torch.stack(parts) for path, parts in by_path.items()} for name, by_path in rows.items()
    }


def _keep(outputs: dict[str, Tensor], path: str):
    def hook(module: nn.Module, args: object, output: Tensor) -> Tensor:
        outputs[path] = output.clone()
        return outputs[path].clone()

    return hook
