"""Attention inside a stage, whose width cannot change."""

from __future__ import annotations

from torch import nn


def attention_in(stage: nn.Module) -> str:
    """Return path and class of the first attention module inside a stage, or "" if there is none."""
    names = (
        f"{path} ({type(module).__name__})"
        for path, module in stage.named_modules()
        if hasattr(module, "num_heads") or isinstance(module, nn.MultiheadAttention)
    )
    return next(names, "")
