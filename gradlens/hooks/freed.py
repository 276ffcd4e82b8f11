"""Graphs that a step has used up, or that a model keeps from one pass to the next."""

from __future__ import annotations

from torch import Tensor, nn

from gradlens.errors import GradlensError

FREED = "backward through the graph a second time"
CHANGED = "modified by an inplace operation"


def backward_error(index: int, error: RuntimeError) -> GradlensError | None:
    """Return the error to raise if the graph of a batch is used up or changed; None for any other error."""
    if FREED in str(error):
        return FreedGraphError(
            f"batch {index}: the graph of the loss has been used up: the step runs backward itself, or the model keeps "
            "a tensor of an earlier pass; return the loss before backward(), and detach what the model keeps"
        )
    if CHANGED in str(error):
        return GradlensError(
            f"batch {index}: the step changed a tensor that the backward pass needs, as optimizer.step() changes the "
            "parameters; return the loss before the step of the optimizer"
        )
    return None


class FreedGraphError(GradlensError):
    """A backward pass met a graph that had been freed."""


def forget_graphs(model: nn.Module) -> bool:
    """Remove tensors of an earlier graph from the dicts in which modules keep results; return whether there were any.

    Such a cache (the position biases of attention in eval mode) is filled again by the next pass.
    """
    emptied = False
    for module in model.modules():
        for value in vars(module).values():
            kept = [key for key, item in value.items() if _has_graph(item)] if type(value) is dict else []
            for key in kept:
                del value[key]
            emptied |= bool(kept)
    return emptied


def _has_graph(value: object) -> bool:
    return isinstance(value, Tensor) and value.grad_fn is not None
