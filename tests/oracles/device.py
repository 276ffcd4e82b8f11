"""A device whose memory the CPU cannot read: tensors that count every wait for a value and every copy to the CPU.

A tensor wraps one on the CPU, which computes, and says that it is elsewhere. PyTorch runs the backward pass of such
tensors on the calling thread, so hooks see them as they would see those of an accelerator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map, tree_map_only

DEVICE = torch.device("meta")
aten = torch.ops.aten
WAITS = {
    "_local_scalar_dense", "item", "nonzero", "unique", "_unique", "_unique2", "unique_dim", "unique_consecutive",
    "masked_select", "equal", "is_nonzero", "allclose", "bincount", "histc",
}  # fmt: skip
"""Operations whose result, or its size, the CPU has to know."""


class Away(Tensor):
    """A tensor on the device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Away:
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined,no-any-return]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
            requires_grad=held.requires_grad,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held.detach()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Away{tuple(self.shape)}"

    def tolist(self) -> Any:
        """Read all values; PyTorch itself would look for them in memory."""
        raise AssertionError("tolist() reads the device")

    def numpy(self, *, force: bool = False) -> Any:
        raise AssertionError("numpy() reads the device")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class Device(TorchDispatchMode):
    """Counts what the CPU waits for while it is active.

    Attributes:
        waits: by operation, how often a value was read.
        copies: how often a tensor was copied to the CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.copies = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if is_away((args, kwargs)):
            name = func.overloadpacket.__name__
            chosen = name in ("index", "index_put", "index_put_") and any(
                isinstance(each, Tensor) and each.dtype == torch.bool for each in args[1] if each is not None
            )
            if name in WAITS or chosen:
                self.waits[name] += 1
            if name == "_to_copy" and torch.device(kwargs.get("device") or DEVICE).type == "cpu":
                self.copies += 1
            if name == "copy_" and isinstance(args[1], Away) and not isinstance(args[0], Away):
                self.copies += 1
        return compute(func, args, kwargs)


def is_away(values: Any) -> bool:
    """Return whether a tensor on the device is among nested values."""
    seen: list[bool] = []
    tree_map_only(Away, lambda _: seen.append(True), values)
    return bool(seen)


def compute(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Run an operation on the CPU; its result is on the device where its inputs, or ``device=``, are."""
    named, options = is_away((args, kwargs)), dict(kwargs)
    device = options.get("device")
    if device is not None:
        named = torch.device(device).type == DEVICE.type
        options["device"] = torch.device("cpu")
    inner = tree_map_only(Away, lambda each: each.held, (args, options))
    result = func(*inner[0], **inner[1])
    if not named:
        return result
    wrappers = {id(each.held): each for each in _tensors((args, kwargs))}
    return tree_map(
        lambda each: (
            (wrappers.get(id(each)) if id(each) in wrappers else Away(each))
            if isinstance(each, Tensor) and not isinstance(each, Away)
            else each
        ),
        result,
    )


def _tensors(values: Any) -> Iterable[Away]:
    seen: list[Away] = []
    tree_map_only(Away, seen.append, values)
    return seen


def moved(model: nn.Module) -> nn.Module:
    """Move parameters and buffers to the device, in place."""
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module._parameters[name] = nn.Parameter(Away(parameter.data), parameter.requires_grad)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = Away(buffer)
    return model
