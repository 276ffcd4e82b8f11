"""What a step returns: one loss, or several by name, whose sum is the loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import reduce
from operator import add
from typing import NamedTuple

from torch import Tensor
from torch.autograd.graph import Node

from gradlens.errors import GradlensError

Returned = Tensor | Mapping[str, Tensor]
"""What a step returns."""
SUMS = (
    "AddBackward0",
    "SubBackward0",
    "SumBackward0",
    "MeanBackward0",
    "StackBackward0",
    "UnsqueezeBackward0",
)
"""Operations by which a total is computed from losses."""
FACTORS = ("MulBackward0", "DivBackward0")
"""Operations that weight a loss, if the other factor is a constant."""


class Losses(NamedTuple):
    """The losses of one step.

    Attributes:
        total: scalar, the sum.
        parts: the losses by name; empty if the step returns one loss.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


def losses_of(returned: object) -> Losses:
    """Return the losses that a step returned.

    Raises:
        GradlensError: a loss is no scalar tensor, two are the same tensor, or one is computed from the others.
    """
    if not isinstance(returned, Mapping):
        return Losses(_scalar(returned, "the loss"), {})
    parts = {
        str(name): _scalar(value, f"the loss {str(name)!r}", returned) for name, value in returned.items()
    }
    if not parts:
        raise GradlensError("the step returns a mapping without a loss; return {'name': loss, ...}")
    _check_distinct(parts)
    return Losses(reduce(add, parts.values()), parts if len(parts) > 1 else {})


def total(returned: Returned) -> Tensor:
    """Return the loss, or the sum of several losses; scalar.

    Raises:
        GradlensError: see ``losses_of``.
    """
    return losses_of(returned).total


def _scalar(value: object, name: str, among: Iterable[object] = ()) -> Tensor:
    if isinstance(value, Tensor) and value.dim() == 0:
        return value
    kind = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    names = ", ".join(map(str, among))
    remedy = (
        f"reduce it over the batch, or return the losses only (the step returns {names})" if names else ""
    )
    raise GradlensError(f"{name} is not a scalar tensor ({kind}); {remedy or 'reduce it over the batch'}")


def _check_distinct(parts: Mapping[str, Tensor]) -> None:
    """Raise if the sum of the losses would count one of them twice."""
    seen: dict[tuple[object, int], str] = {}
    for name, value in parts.items():
        key = (id(value), 0) if value.grad_fn is None else (value.grad_fn, value.output_nr)
        if key in seen:
            raise GradlensError(
                f"losses {seen[key]!r} and {name!r} are the same tensor, and the loss is their sum; return it once"
            )
        seen[key] = name
    for name, value in parts.items():
        added = [other for key, other in seen.items() if other != name and key in _summands(value)]
        if added:
            raise GradlensError(
                f"the loss {name!r} is computed from {', '.join(map(repr, added))}, and the loss is the sum of all "
                f"that the step returns; return the parts without {name!r}"
            )


def _summands(value: Tensor) -> set[tuple[Node, int]]:
    """Return the tensors (node, output) from which sums and factors compute a scalar."""
    met: set[tuple[Node, int]] = set()
    ready = [] if value.grad_fn is None else [value.grad_fn]
    for node in ready:
        inputs = {(producer, output) for producer, output in node.next_functions if producer is not None}
        if node.name() in SUMS or (node.name() in FACTORS and len(inputs) == 1):
            ready += [producer for producer, _ in inputs - met]
            met |= inputs
    return met


def contents(batch: object) -> str:
    """Return what a container holds, for messages: its keys or its length; empty for anything else."""
    names = list(batch) if isinstance(batch, Mapping) else list(getattr(batch, "_fields", ()))
    if is_dataclass(batch) and not names:
        names = [field.name for field in fields(batch)]
    if names:
        return f" with {', '.join(map(str, names[:6]))}"
    return f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
