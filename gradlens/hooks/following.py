"""Follow the batch through a forward pass: which operations read it, directly or through other tensors.

The graph of autograd does not say this: an input without an edge is a constant, a buffer or the images. A dispatch mode
sees every operation with all its tensors, also those that require no gradient. It is active in the dry pass only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradlens.hooks.modes import EagerMode
from gradlens.hooks.nesting import plain, tensors_of

FROM_NUMBERS = {
    "arange",
    "empty",
    "empty_strided",
    "eye",
    "full",
    "linspace",
    "ones",
    "scalar_tensor",
    "zeros",
}
"""Operations that make a tensor without data; others, such as random numbers, may make samples."""


MOVING = {"flip", "gather", "index", "index_select", "masked_select", "roll", "sort", "take_along_dim"}
"""Operations that move rows of tensors that require no gradient."""


class Following(EagerMode):
    """Records which nodes of the graph read the batch while it is active.

    Memory counts, not tensors: a view of the batch is the batch, and a buffer into which the batch is written derives
    from it. A tensor that is made during the pass, or that no module holds, belongs to the samples if one of its axes
    has their number: noise, or inputs made from lists.

    Args:
        model: the network; its parameters, buffers and attributes are no part of the batch.
        batch: any nesting of tensors.
        samples: number of samples.

    Attributes:
        reads: by sequence number of a node, whether its operation read the batch.
        stacked: by sequence number of a node that reads several tensors of the batch as one, such as two views of each
            image, the number of positions that vary slower than the samples.
        moved: sequence numbers of the nodes that read samples in another order, which the graph does not show because
            these tensors require no gradient.
        communicates: whether an operation waits for other processes.
    """

    def __init__(self, model: nn.Module, batch: object, samples: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no annotation here
        self.reads: dict[int, bool] = {}
        self._samples = samples
        self.moved: set[int] = set()
        self.communicates = False
        self.stacked: dict[int, int] = {}
        self._reordered: set[int] = set()
        self._outer: dict[int, int] = {}
        self._memory: dict[int, tuple[object, bool]] = {}
        for tensor in _held(model):
            self._mark(tensor, False)
        for tensor in tensors_of(batch):
            self._mark(tensor, True)
            if plain(tensor) and list(tensor.shape[:2]).count(samples) == 1 == tensor.shape[:1].count(
                samples
            ):
                self._outer[_memory(tensor)] = 1
        self._end = _sequence()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and note whether it read the batch."""
        start, kwargs = _sequence(), dict(kwargs or {})
        read = tensors_of((args, kwargs))
        derives = any(self._derives(tensor) for tensor in read)
        result = func(*args, **kwargs)
        self.communicates |= "c10d" in func.namespace
        outputs = tensors_of(result)
        if not read and outputs and _name(func) not in FROM_NUMBERS:
            derives = self._has_samples(outputs[0])
        written = [tensor for tensor in _written(func, args, kwargs) if derives]
        for tensor in [
            *(tensor for tensor in outputs if _memory(tensor) not in map(_memory, read)),
            *written,
        ]:
            self._mark(tensor, derives)
        moved = any(_memory(tensor) in self._reordered for tensor in read if not tensor.requires_grad)
        differentiable = any(tensor.is_floating_point() or tensor.is_complex() for tensor in outputs)
        if start > self._end and differentiable and any(tensor.requires_grad for tensor in read):
            self.reads[start - 1] = derives
            if moved:
                self.moved.add(start - 1)
            outers = {self._outer.get(_memory(tensor), 0) for tensor in read if self._folded(tensor)}
            if len(outers) == 1 and (outer := outers.pop()):
                self.stacked[start - 1] = outer
        elif moved or (derives and _name(func) in MOVING and self._samples in _moved_sizes(func, args)):
            self._reordered.update(map(_memory, outputs))
        for tensor in outputs:
            outer = _stacked(func, args, [self._outer.get(_memory(item), 0) for item in read], read, tensor)
            if outer and _memory(tensor) not in self._outer:
                self._outer[_memory(tensor)] = outer
        self._end = _sequence()
        return result

    def _folded(self, tensor: Tensor) -> bool:
        """Return whether a tensor from outside the graph holds several rows of each sample along axis 0."""
        rows = tensor.shape[0] if _slowest(tensor) and not tensor.requires_grad else 0
        return rows > self._samples and rows % self._samples == 0 and self._derives(tensor)

    def _mark(self, tensor: Tensor, derives: bool) -> None:
        """Note whether a tensor derives from the batch; its memory is held, so that no other tensor gets it."""
        self._memory[_memory(tensor)] = (_holder(tensor), derives)

    def _derives(self, tensor: Tensor) -> bool:
        key = _memory(tensor)
        if key not in self._memory:
            self._mark(tensor, self._has_samples(tensor))
        return self._memory[key][1]

    def _has_samples(self, tensor: Tensor) -> bool:
        return self._samples in tensor.shape


def dry_samples(model: nn.Module, batch: object, n: int, most: int) -> int:
    """Return the number of samples of a dry pass: below ``n``, and if possible no size of the tensors at hand.

    Then an axis of that size holds the samples.
    """
    sizes = {
        size for tensor in (*_held(model), *tensors_of(batch)) if _is_plain(tensor) for size in tensor.shape
    }
    choices = [m for m in (most, *range(most - 1, 1, -1), *range(most + 1, 2 * most)) if m < n]
    return next((m for m in choices if m not in sizes), min(most, n - 1))


def _held(model: nn.Module) -> Iterable[Tensor]:
    """Return parameters, buffers and the tensors in other attributes of all modules."""
    for module in model.modules():
        for value in vars(module).values():
            yield from tensors_of(value)


def _is_plain(tensor: Tensor) -> bool:
    return not nn.parameter.is_lazy(tensor) and plain(tensor)


def _holder(tensor: Tensor) -> object:
    return tensor.untyped_storage() if _is_plain(tensor) else tensor


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata) if _is_plain(tensor) else id(tensor)


def _written(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return the tensors that an operation writes into."""
    schema = func._schema
    if not schema.is_mutable:
        return []
    by_name = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | dict(kwargs)
    changed = [a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    return tensors_of([by_name[name] for name in changed if name in by_name])


def _stacked(func: Any, args: tuple[Any, ...], outers: list[int], read: list[Tensor], result: Tensor) -> int:
    """Return how many positions vary slower than the samples in a result, 0 if that is not known.

    Args:
        func: an operation.
        args: its arguments.
        outers: the same number for each tensor that it reads.
        read: these tensors.
        result: what it makes.
    """
    name, known = _name(func), [outer for outer in outers if outer]
    first = not args[1:] or args[1] == 0
    if not result.dim():
        return 0
    if name in {"cat", "stack"}:
        within = name == "stack" and args[1:] == (1,)
        return (1 if within else len(read)) if (first or within) and known and set(outers) == {1} else 0
    if name == "repeat":
        return int(args[1][0]) if known == [1] and len(args[1]) == read[0].dim() else 0
    same = [
        outer
        for outer, tensor in zip(outers, read, strict=True)
        if _slowest(tensor) and tensor.shape[:1] == result.shape[:1]
    ]
    moves = name in MOVING and any(size == result.shape[0] for size in _moved_sizes(func, args))
    return known[0] if not moves and len(set(known)) == 1 and known[0] in same else 0


def _slowest(tensor: Tensor) -> bool:
    """Return whether axis 0 of a tensor varies slowest in memory, as it does not after a transposition."""
    return _is_plain(tensor) and tensor.dim() > 0 and tensor.stride(0) == max(tensor.stride())


def _moved_sizes(func: Any, args: tuple[Any, ...]) -> list[int]:
    """Return the sizes of the axes along which an operation moves rows; of all axes if it does not say."""
    shape = args[0].shape
    dims: Any = args[1] if len(args) > 1 else None
    if _name(func) == "index":
        dims = [dim for dim, index in enumerate(args[1]) if index is not None]
    elif _name(func) == "roll":
        dims = args[2] if len(args) > 2 else None
    dims = [dims] if type(dims) is int else dims
    known = isinstance(dims, (list, tuple)) and all(type(dim) is int for dim in dims)
    return [shape[dim] for dim in dims] if known else list(shape)


def _name(func: Any) -> str:
    return str(func._schema.name).rpartition("::")[2]


def _sequence() -> int:
    return int(torch._C._autograd._get_sequence_nr())
