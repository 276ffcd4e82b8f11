"""What is needed to run a forward pass of a training again: its inputs, by reference, and the state before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node as AutogradNode
from torch.nn.parameter import is_lazy

from gradlens.hooks.nesting import items_of, mapped, tensors_of
from gradlens.hooks.snapshots import version_of
from gradlens.randomness import RandomStates

MOST = 2**24
"""Elements of the outputs of a model from which on neither they nor their gradients are kept."""
KEY = "gradlens"
"""Of the moment in the metadata of a node."""
PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)


@dataclass(eq=False)
class Moment:
    """A forward pass that may have to be run again.

    The graph of the pass holds it (``hold``), so that the batch is not kept longer than by the loop itself.

    Attributes:
        batch: the arguments of the model and its named arguments; containers are copied, tensors are not.
        versions: number of changes of the tensors of the batch and of the parameters.
        modes: mode of each module.
        states: of the generators of random numbers.
        autocast: by type of device, whether autocast is on, and its type.
        outputs: what the model returned, without graph; empty if it is too large.
        gradients: by output, the gradient that has arrived in the backward pass that runs.
    """

    batch: tuple[tuple[Any, ...], dict[str, Any]]
    versions: list[int]
    modes: list[bool]
    states: RandomStates
    autocast: dict[str, tuple[bool, torch.dtype]]
    outputs: list[Tensor] = field(default_factory=list)
    gradients: dict[int, Tensor] = field(default_factory=dict)

    @classmethod
    def now(cls, model: nn.Module, args: Sequence[object], kwargs: Mapping[str, object]) -> Moment | None:
        """Return the present moment; None if the inputs hold objects that may change, or a layer has no weights yet."""
        parameters = list(model.parameters())
        if not _is_plain([*args, *kwargs.values()]) or any(map(is_lazy, parameters)):
            return None
        batch: Any = mapped((tuple(args), dict(kwargs)), lambda tensor: tensor)
        devices = {tensor.device.type for tensor in (*parameters, *tensors_of(batch))} - {"meta"}
        autocast = {
            device: (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
            for device in devices
        }
        return cls(batch, _versions(parameters, batch), _modes(model), RandomStates.now(), autocast)

    def is_present(self, model: nn.Module) -> bool:
        """Return whether weights, inputs and modes are still those of the pass."""
        return self.versions == _versions(model.parameters(), self.batch) and self.modes == _modes(model)

    def hold(self, node: AutogradNode) -> None:
        """Let a node of the graph hold this moment; nothing here refers to a node."""
        metadata: Any = node.metadata
        metadata[KEY] = self

    def agrees(self, outputs: Sequence[Tensor]) -> bool:
        """Return whether a second run has returned the same to the bit; True if that is not known."""
        if not self.outputs:
            return True
        pairs = list(zip(self.outputs, outputs, strict=False))
        return len(self.outputs) == len(outputs) and all(_same(first, second) for first, second in pairs)

    @contextmanager
    def again(self) -> Iterator[None]:
        """Set the random states of the pass, and its autocast for the block; the caller restores the random states."""
        self.states.restore()
        with ExitStack() as stack:
            for device, (enabled, dtype) in self.autocast.items():
                stack.enter_context(torch.autocast(device, dtype, enabled=enabled, cache_enabled=False))
            yield


def small(tensors: Sequence[Tensor]) -> bool:
    """Return whether tensors are small enough to be kept until the end of a backward pass."""
    return sum(tensor.numel() for tensor in tensors) <= MOST


def _is_plain(value: object) -> bool:
    items = None if isinstance(value, Tensor) else items_of(value)
    return isinstance(value, (Tensor, *PLAIN)) if items is None else all(map(_is_plain, items))


def _versions(parameters: Iterable[nn.Parameter], batch: object) -> list[int]:
    return [version_of(tensor) for tensor in (*parameters, *tensors_of(batch))]


def _modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def _same(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    return bool(((first == second) | ((first != first) & (second != second))).all())
