"""What the forward of a model takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from torch import nn


def parameters_of(model: nn.Module) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of the forward of a model by name; empty if unknown."""
    if type(model).forward is nn.Module.forward:
        return {}
    try:
        return inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return {}


def needed_inputs(model: nn.Module) -> list[str]:
    """Return the names of the parameters without a default that the forward of a model takes; empty if unknown."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    items = parameters_of(model).values()
    return [item.name for item in items if item.kind in kinds and item.default is item.empty]
