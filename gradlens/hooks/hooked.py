"""Find the tensors on which a step registers hooks that change a gradient after it is accumulated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node as AutogradNode
from torch.overrides import TorchFunctionMode


@dataclass
class Returned:
    """Whether a hook has returned a gradient; a hook that returns nothing changes nothing."""

    gradient: bool = False


@dataclass(frozen=True)
class HookedTensor:
    """A tensor with a hook of the user.

    Attributes:
        node: live node that makes the tensor.
        output: its number among the outputs of the node.
        returned: set by the hook.
    """

    node: AutogradNode
    output: int
    returned: Returned = field(default_factory=Returned)


class HookedTensors(TorchFunctionMode):
    """While active, notes the tensors on which ``Tensor.register_hook`` is called, and what these hooks return.

    Attributes:
        tensors: the tensors; leaves are left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[HookedTensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        kwargs = dict(kwargs or {})
        if func is not Tensor.register_hook or args[0].grad_fn is None:
            return func(*args, **kwargs)
        tensor, hook = args[0], (args[1] if len(args) > 1 else kwargs["hook"])
        hooked = HookedTensor(tensor.grad_fn, tensor.output_nr)
        self.tensors.append(hooked)
        return func(tensor, _noting(hook, hooked.returned))


def _noting(hook: Callable[[Tensor], Tensor | None], returned: Returned) -> Callable[[Tensor], Tensor | None]:
    """Return a hook that does the same, and notes whether it returns a gradient; it refers to no node."""

    def noting(gradient: Tensor) -> Tensor | None:
        changed = hook(gradient)
        returned.gradient |= changed is not None
        return changed

    return noting
