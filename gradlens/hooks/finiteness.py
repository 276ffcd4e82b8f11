"""Find the first module whose output is not finite."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from gradlens.hooks.calls import Leave
from gradlens.hooks.nesting import tensors_of


def first_not_finite(model: nn.Module, forward: Callable[[], object]) -> str:
    """Run forward again and name the first module whose output holds NaN or infinity.

    Returns:
        A clause for an error message that names the module, or states that all outputs are finite.
    """
    paths: list[str] = []

    def look(path: str) -> Leave:
        def hook(module: nn.Module, args: object, output: object) -> None:
            tensors = [tensor for tensor in tensors_of(output) if tensor.is_floating_point()]
            if not paths and not all(bool(torch.isfinite(tensor).all()) for tensor in tensors):
                paths.append(path or "(model)")

        return hook

    handles = [module.register_forward_hook(look(path)) for path, module in model.named_modules()]
    try:
        with torch.no_grad():
            forward()
    except Exception as error:  # a step need not be repeatable
        return f"; a second run that looks for the module failed with {type(error).__name__}"
    finally:
        for handle in handles:
            handle.remove()
    if not paths:
        return "; every module's output is finite, so check the loss and the targets"
    return f"; it arose in {paths[0]} or just before it, the first module whose output is not finite"
