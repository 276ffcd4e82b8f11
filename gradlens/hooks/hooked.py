"""Find the tensors on which a step registers hooks: such a hook may change the gradient after it is accumulated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node as AutogradNode
from torch.overrides import TorchFunctionMode


class HookedTensors(TorchFunctionMode):
    """While active, notes the tensors on which ``Tensor.register_hook`` is called; changes nothing.

    Attributes:
        tensors: node and output number of each; leaves are left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[tuple[AutogradNode, int]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        if func is Tensor.register_hook and args[0].grad_fn is not None:
            self.tensors.append((args[0].grad_fn, args[0].output_nr))
        return func(*args, **(kwargs or {}))
