"""Follow gradients that are NaN or infinite through a backward pass: where they are made, passed on and swallowed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gradlens.hooks.recorder import Gradients


@dataclass
class Spreading:
    """Receives the gradients at the inputs and outputs of the operations of a backward pass.

    Attributes:
        first: index of the first node at which a gradient is not finite; None if all are.
        slot: input along which that gradient leaves; None if the gradient at the output of the node has it already.
        bad: the elements of that gradient that are not finite.
        dtype: type of that gradient.
        is_nan: whether one of them is NaN.
        largest: largest absolute value that the operation has read.
        output: number of the output of the node, if the gradient there has it already.
        spread: nodes that passed such gradients on.
        swallowed: nodes that read them and passed on finite ones only.
    """

    first: int | None = None
    slot: int | None = None
    bad: Tensor | None = None
    dtype: str = ""
    is_nan: bool = False
    largest: float = math.nan
    output: int = 0
    spread: list[int] = field(default_factory=list)
    swallowed: list[int] = field(default_factory=list)

    def receive(self, node: int, inputs: Gradients, outputs: Gradients) -> None:
        """Receive the gradients at a node; for ``recorder.observed``."""
        with torch.no_grad():
            read, passed = _not_finite(outputs), _not_finite(inputs)
            if self.first is None and (read or passed):
                self._begin(node, inputs, outputs, read, passed)
            elif read and passed:
                self.spread.append(node)
            elif read and any(gradient is not None for gradient in inputs):
                self.swallowed.append(node)

    def _begin(
        self, node: int, inputs: Gradients, outputs: Gradients, read: list[int], passed: list[int]
    ) -> None:
        position = read[0] if read else passed[0]
        gradient = outputs[position] if read else inputs[position]
        assert gradient is not None
        self.first, self.bad = node, ~torch.isfinite(gradient)
        self.is_nan, self.dtype = (
            bool(torch.isnan(gradient).any()),
            str(gradient.dtype).removeprefix("torch."),
        )
        if read:
            self.output = position
            (self.spread if passed else self.swallowed).append(node)
            return
        self.slot = position
        tops = [float(each.abs().max()) for each in outputs if each is not None and each.numel()]
        self.largest = max(tops, default=math.nan)


def _not_finite(gradients: Gradients) -> list[int]:
    return [
        position
        for position, gradient in enumerate(gradients)
        if gradient is not None and not bool(torch.isfinite(gradient).all())
    ]
