"""FLOPs of a network without values, counted many times while its widths are searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

NORMALISING = (aten._native_batch_norm_legit_no_training, aten.native_batch_norm, aten.cudnn_batch_norm)
"""Return the normalised input and two tensors that only a backward pass reads."""
ELEMENTWISE = frozenset(
    getattr(aten, name)
    for name in (
        *("add", "add_", "div", "div_", "elu", "elu_", "gelu", "hardsigmoid", "hardsigmoid_", "hardswish"),
        *("hardswish_", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "mish", "mul", "mul_", "relu"),
        *("relu_", "sigmoid", "sigmoid_", "silu", "silu_", "sub", "sub_", "tanh", "tanh_"),
    )
)
"""Return a tensor like the first one if all are alike; a name that ends in ``_`` changes it in place."""


def meta_flops(run: Callable[[], object]) -> int:
    """Return the FLOPs of what runs on tensors of the meta device without gradients, one multiply-add is 2.

    The number is that of ``torch.utils.flop_counter.FlopCounterMode``, several times as fast: operations that cannot
    change the shape of an activation are skipped, and their Python decompositions with them.
    """
    counter = _Counter()
    with counter:
        run()
    return counter.flops


class _Counter(TorchDispatchMode):
    """Count the FLOPs of operations by the formulas of PyTorch."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import flop_registry  # slow to import, and few networks need it

        super().__init__()  # type: ignore[no-untyped-call]  # torch has no annotation here
        self.flops: int = 0
        self.formulas: dict[Any, Callable[..., int]] = flop_registry

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        packet, kwargs = func._overloadpacket, kwargs or {}
        if packet in ELEMENTWISE and _alike((*args, *kwargs.values())):
            return args[0] if func._schema.is_mutable else args[0].detach()
        if packet in NORMALISING:
            return args[0].detach(), args[0].new_empty(0), args[0].new_empty(0)
        if packet is aten.cat and not kwargs and (shape := _joined(*args)):
            return args[0][0].new_empty(shape)
        output = func(*args, **kwargs)
        if packet in self.formulas:
            self.flops += int(self.formulas[packet](*args, **kwargs, out_val=output))
        return output


def _alike(values: Sequence[Any]) -> bool:
    """Return whether the first value is a tensor of floats, and all tensors have its shape and type."""
    first = values[0]
    if not isinstance(first, Tensor) or not first.is_floating_point():
        return False
    return all(
        value.shape == first.shape and value.dtype == first.dtype
        for value in values
        if isinstance(value, Tensor)
    )


def _joined(tensors: Sequence[Tensor], axis: int = 0) -> tuple[int, ...] | None:
    """Return the shape of tensors that are joined along an axis, None if they differ in more than its size."""
    first = tensors[0]
    if not -first.dim() <= axis < first.dim():
        return None
    axis %= first.dim()

    def rest(tensor: Tensor) -> tuple[object, ...]:
        return tensor.dtype, tensor.dim(), *tensor.shape[:axis], *tensor.shape[axis + 1 :]

    if any(rest(tensor) != rest(first) for tensor in tensors):
        return None
    return (*first.shape[:axis], sum(tensor.shape[axis] for tensor in tensors), *first.shape[axis + 1 :])
