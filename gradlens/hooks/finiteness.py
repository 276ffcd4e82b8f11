"""Where numbers stop being finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gradlens.hooks.calls import tensors_of


def first_not_finite(model: nn.Module, forward: Callable[[], Any]) -> str:
    """Run forward again and name the first module whose output holds NaN or infinity.

    Returns:
        A clause for an error message: the module, or that the model's outputs were all finite.
    """
    found: list[str] = []

    def look(path: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            bad = any(not bool(torch.isfinite(t).all()) for t in tensors_of(output) if t.is_floating_point())
            if bad and not found:
                found.append(path or "(model)")

        return hook

    handles = [module.register_forward_hook(look(path)) for path, module in model.named_modules()]
    try:
        with torch.no_grad():
            forward()
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        return "; every module's output is finite, so look at the loss and the targets"
    return f"; it arose in {found[0]} or just before it, the first module whose output is not finite"
