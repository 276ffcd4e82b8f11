"""Follow values that are NaN or infinite through a forward pass: where they are made, passed on and swallowed.

A dispatch mode sees every operation with all its tensors. It is active while a step is run again, or in a measured step
that follows one that broke.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gradlens.hooks.modes import EagerMode
from gradlens.hooks.nesting import plain, tensors_of
from gradlens.recording.births import INFINITY, INPUTS, NAN

WITHOUT_VALUES = {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}
"""Operations whose result holds whatever was in memory before."""
WITHOUT_READING = WITHOUT_VALUES | {
    "full_like",
    "new_full",
    "new_ones",
    "new_zeros",
    "ones_like",
    "rand_like",
    "randn_like",
    "zeros_like",
}
"""Operations that read no values of their inputs."""
OVERWRITING = {
    "bernoulli_",
    "copy_",
    "exponential_",
    "fill_",
    "log_normal_",
    "normal_",
    "random_",
    "set_",
    "uniform_",
    "zero_",
}
"""Operations that write their first input without reading it."""
HELD = 32
"""Values that were made and of which it is kept in which elements they are."""


class Place(NamedTuple):
    """An operation of a forward pass, before its node is looked up.

    Attributes:
        sequence: number of its node; -1 if it has none.
        module: path of the innermost module that runs.
        operation: its name.
    """

    sequence: int
    module: str
    operation: str


@dataclass
class Made:
    """A value that is NaN or infinite and was made of finite ones.

    Attributes:
        place: the operation; the name of an input, a parameter or a buffer.
        kind: ``NAN`` or ``INFINITY``.
        dtype: type of the tensor.
        bad: the elements in which it is; None if they are not kept.
        largest: largest absolute value that was read.
        source: where an infinite constant comes from that was read, if there was one.
        spread: operations that passed it on.
        swallowed: operations that read it and returned finite values.
    """

    place: Place | str
    kind: str
    dtype: str
    bad: Tensor | None
    largest: float
    source: Place | str | None
    spread: list[Place]
    swallowed: list[Place]


class Tracing(EagerMode):
    """Records where values that are not finite are made while it is active.

    Infinity that the code writes down, as a mask does, is no fault: ``full(-inf)``, ``masked_fill(..., -inf)``, or a
    buffer or an input with it. It may be passed on; NaN that is made of it is a fault.

    Args:
        model: whose parameters and buffers are looked at now.
        batch: inputs of the model, in any nesting.
        module: returns the path of the innermost module that runs.

    Attributes:
        made: the values that were made, in order.
    """

    def __init__(self, model: nn.Module, batch: object, module: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no annotation here
        self.made: list[Made] = []
        self._module = module
        self._origin: dict[int, tuple[object, int]] = {}
        self._constants: dict[int, tuple[object, Place | str]] = {}
        self._end = _sequence()
        for name, parameter in model.named_parameters():
            self._look(name, parameter, constant=False)
        for name, buffer in model.named_buffers():
            self._look(name, buffer, constant=True)
        for tensor in tensors_of(batch):
            self._look(INPUTS, tensor, constant=True)

    def origin(self, tensors: Iterable[Tensor]) -> Made | None:
        """Return what the first of some tensors that is not finite comes from; None if it is finite or a constant."""
        for tensor in tensors:
            if not _finite(tensor) and _memory(tensor) in self._origin:
                return self.made[self._origin[_memory(tensor)][1]]
        return None

    def release(self) -> None:
        """Drop the tensors that are held so that their memory is known; ``origin`` knows none afterwards."""
        self._origin.clear()
        self._constants.clear()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and compare what it reads with what it returns."""
        start, kwargs, name = _sequence(), dict(kwargs or {}), _name(func)
        tensors = tensors_of((args, [value for key, value in kwargs.items() if key != "out"]))
        first = len(tensors) if name in WITHOUT_READING else int(name in OVERWRITING)
        read = [tensor for tensor in tensors[first:] if not _finite(tensor)]
        constants = [self._constants[_memory(tensor)][1] for tensor in read if self._is_constant(tensor)]
        broken = [self._origin[_memory(tensor)][1] for tensor in read if _memory(tensor) in self._origin]
        known = start > self._end and any(tensor.requires_grad for tensor in tensors)
        tops = (
            [] if read else [tensor.detach().abs().max() for tensor in tensors[first:] if _has_values(tensor)]
        )
        result = func(*args, **kwargs)
        self._end = _sequence()
        if name in WITHOUT_VALUES:
            return result
        place = Place(start - 1 if known else -1, self._module(), name)
        returned = [tensor for tensor in tensors_of(result) if _is_floating(tensor)]
        bad = [tensor for tensor in returned if not _finite(tensor)]
        if broken:
            self._passed_on(place, min(broken), bad, swallowed=bool(returned) and not _is_view(func))
        elif not _is_view(func) and _finite(returned[0] if returned else torch.empty(0)):
            return result  # what it returns beside its result may hold anything
        elif bad and not self._written_down(tensors, args, kwargs, constants, bad):
            largest = max((float(top) for top in tops), default=math.nan)
            self._born(place, bad, largest, constants[0] if constants else None)
        elif bad:
            source = constants[0] if constants else place
            self._constants.update((_memory(tensor), (_holder(tensor), source)) for tensor in bad)
        return result

    def _passed_on(self, place: Place, origin: int, bad: list[Tensor], *, swallowed: bool) -> None:
        if bad:
            self.made[origin].spread.append(place)
            self._origin.update((_memory(tensor), (_holder(tensor), origin)) for tensor in bad)
        elif swallowed:
            self.made[origin].swallowed.append(place)

    def _born(
        self, place: Place | str, bad: list[Tensor], largest: float, source: Place | str | None = None
    ) -> None:
        elements = ~torch.isfinite(bad[0].detach()) if len(self.made) < HELD else None
        dtype = str(bad[0].dtype).removeprefix("torch.")
        self._origin.update((_memory(tensor), (_holder(tensor), len(self.made))) for tensor in bad)
        self.made.append(Made(place, kind_of(bad), dtype, elements, largest, source, [], []))

    def _written_down(
        self,
        read: list[Tensor],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        constants: list[Place | str],
        bad: list[Tensor],
    ) -> bool:
        """Return whether the infinity of a result is one that the code writes down, and not computed."""
        if kind_of(bad) == NAN:
            return False
        scalars = [value for value in (*args, *kwargs.values()) if isinstance(value, float)]
        return bool(constants) or not read or any(map(math.isinf, scalars))

    def _look(self, name: str, tensor: Tensor, *, constant: bool) -> None:
        """Note an input, a parameter or a buffer that is not finite."""
        if not _is_floating(tensor) or _finite(tensor):
            return
        if constant and kind_of([tensor]) != NAN:
            self._constants[_memory(tensor)] = (_holder(tensor), name)
        else:
            self._born(name, [tensor], math.nan)

    def _is_constant(self, tensor: Tensor) -> bool:
        return _memory(tensor) in self._constants and _memory(tensor) not in self._origin


def kind_of(tensors: Iterable[Tensor]) -> str:
    """Return what tensors hold that are not finite: ``NAN`` or else ``INFINITY``."""
    return NAN if any(bool(torch.isnan(tensor).any()) for tensor in tensors) else INFINITY


def _is_floating(tensor: Tensor) -> bool:
    usable = plain(tensor) and not nn.parameter.is_lazy(tensor) and tensor.device.type != "meta"
    return usable and (tensor.is_floating_point() or tensor.is_complex())


def _finite(tensor: Tensor) -> bool:
    return not _is_floating(tensor) or bool(torch.isfinite(tensor).all())


def _has_values(tensor: Tensor) -> bool:
    return _is_floating(tensor) and tensor.numel() > 0


def _holder(tensor: Tensor) -> object:
    return tensor.untyped_storage()


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _is_view(func: Any) -> bool:
    """Return whether an operation returns a part of what it reads; a part without the value swallows nothing."""
    return any(each.alias_info is not None and not each.alias_info.is_write for each in func._schema.returns)


def _name(func: Any) -> str:
    return str(func._schema.name).rpartition("::")[2]


def _sequence() -> int:
    return int(torch._C._autograd._get_sequence_nr())
