"""The costs of one training step, counted operation by operation as it runs.

FLOPs by ``torch.utils.flop_counter`` (one multiply-add = 2), feature-map traffic as the CSPNet
authors count it (elements read and written by each convolution and pooling, arXiv 1911.11929,
section 4.2), bytes saved for backward, and the largest number of bytes alive at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload, OpOverloadPacket
from torch.multiprocessing.reductions import StorageWeakRef

from gradlens.graph.owners import Owner
from gradlens.hooks.calls import Enter, Leave
from gradlens.hooks.modes import EagerMode
from gradlens.hooks.unfused import step_by_step
from gradlens.recording.costs import Costs

POOLINGS = {"max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d"}
"""Poolings of two spatial axes; a mean over them (global pooling) counts as one."""
Arguments = tuple[Any, ...]
"""Positional arguments of an operation."""
Keywords = Mapping[str, Any]
"""Keyword arguments of an operation."""


def step_costs(model: nn.Module, step: Callable[[], Tensor], samples: int) -> Costs:
    """Run one step (forward and backward) and count its costs.

    Args:
        model: the network; costs are counted by its modules.
        step: runs the forward pass and returns the scalar loss.
        samples: number of samples in the batch.
    """
    costs, called = Costs(samples, parameters=owned_parameters(model)), Counter[str]()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    known = {storage.data_ptr() for parameter in model.parameters() if (storage := _storage(parameter))}
    with (
        step_by_step(model),
        _module_stack(model, called) as stack,
    ):  # fused recurrent kernels have no count of FLOPs
        counter = _Counter(costs, stack, model)
        with (
            torch.autograd.graph.saved_tensors_hooks(_saver(costs, stack, known), lambda kept: kept),
            counter,
        ):
            loss = step()
            counter.forward = False
            torch.autograd.grad(loss, learning, allow_unused=True)
    costs.peak_bytes = counter.peak
    costs.keep_calls_of({module for module, count in called.items() if count > 1})
    return costs


def saved_bytes_of(model: nn.Module, run: Callable[[], object]) -> int:
    """Run a forward pass and return how many bytes of other tensors than parameters it saves on the CPU."""
    costs = Costs(samples=1, parameters={})
    known = {storage.data_ptr() for parameter in model.parameters() if (storage := _storage(parameter))}
    count = _saver(costs, (), known)

    def keep(tensor: Tensor) -> Tensor:
        return count(tensor) if tensor.device.type == "cpu" else tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
        alive = run()
    del alive
    return sum(costs.saved_bytes.values())


def owned_parameters(model: nn.Module) -> dict[str, int]:
    """Return the elements of the parameters that each module holds itself; shared ones count once."""
    seen: set[int] = set()
    table: dict[str, int] = {}
    for path, module in model.named_modules():
        held = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(id(parameter) for parameter in held)
        if held:
            table[path] = sum(parameter.numel() for parameter in held)
    return table


@contextmanager
def _module_stack(model: nn.Module, called: Counter[str]) -> Iterator[list[Owner]]:
    """Yield the open calls of modules, the innermost last; ``called`` counts the calls of each module."""
    stack: list[Owner] = []
    handles = []
    try:
        for path, module in model.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue
            handles.append(module.register_forward_pre_hook(_push(stack, path, called)))
            handles.append(module.register_forward_hook(_pop(stack)))
        yield stack
    finally:
        for handle in handles:
            handle.remove()


def _push(stack: list[Owner], path: str, called: Counter[str]) -> Enter:
    def hook(module: nn.Module, args: object) -> None:
        stack.append(Owner(path, called[path]))
        called[path] += 1

    return hook


def _pop(stack: list[Owner]) -> Leave:
    def hook(module: nn.Module, args: object, output: object) -> None:
        stack.pop()

    return hook


def _saver(costs: Costs, stack: Sequence[Owner], known: set[int]) -> Callable[[Tensor], Tensor]:
    """Return a hook that counts each storage once; saved tensors stay alive until backward, so pointers differ."""
    seen = set(known)

    def keep(tensor: Tensor) -> Tensor:
        storage = _storage(tensor)  # a saved view keeps all of its storage alive
        if storage is not None and storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            costs.add("saved_bytes", _innermost(stack), storage.nbytes())
        return tensor

    return keep


def _innermost(stack: Sequence[Owner]) -> Owner:
    return stack[-1] if stack else Owner("", 0)


def _storage(tensor: Tensor) -> torch.UntypedStorage | None:
    """Return the storage of a tensor; None for sparse, nested and other tensors without a single one."""
    try:
        return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return None


class _Counter(EagerMode):
    def __init__(self, costs: Costs, stack: Sequence[Owner], model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no annotation here
        self.costs, self.stack = costs, stack
        held = [*model.parameters(), *model.buffers()]
        self._model = {storage._cdata for tensor in held if (storage := _storage(tensor))}
        self.forward = True
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._bytes = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: Sequence[type], args: Arguments = (), kwargs: Keywords | None = None
    ) -> object:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if self.forward:
            self._count(func, args, kwargs, out)
        self._watch_memory(out)
        return out

    def _count(self, func: OpOverload, args: Arguments, kwargs: Keywords, out: object) -> None:
        owner = _innermost(self.stack)
        packet = func.overloadpacket
        flops = _flops(packet, args, kwargs, out)
        if flops:
            self.costs.add("flops", owner, flops)
            self.costs.largest.append(flops)
        result = out[0] if isinstance(out, tuple) else out
        moves = packet.__name__ == "convolution" or _pools(packet.__name__, args)
        if moves and isinstance(result, Tensor):
            elements = args[0].numel() + result.numel()
            self.costs.add("traffic", owner, elements)
            self.costs.add("traffic_bytes", owner, elements * result.element_size())

    def _watch_memory(self, out: object) -> None:
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            storage = _storage(tensor) if isinstance(tensor, Tensor) else None
            if storage is not None:
                key = storage._cdata
                if key in self._model:
                    continue
                if key not in self._alive or self._alive[key][0].expired():
                    self._forget(key)
                    self._alive[key] = (StorageWeakRef(storage), storage.nbytes())
                    self._bytes += storage.nbytes()
        if self._bytes > self.peak:
            for key in [key for key, (reference, _) in self._alive.items() if reference.expired()]:
                self._forget(key)
            self.peak = max(self.peak, self._bytes)

    def _forget(self, key: int) -> None:
        if key in self._alive:
            self._bytes -= self._alive.pop(key)[1]


def _flops(packet: OpOverloadPacket, args: Arguments, kwargs: Keywords, out: object) -> int:
    from torch.utils import flop_counter  # slow to import, and a capture without costs does not need it

    counting = flop_counter.flop_registry.get(packet)
    if counting is not None:
        return int(counting(*args, **kwargs, out_val=out))
    if packet.__name__.startswith("_scaled_dot_product"):
        query, key, value = args[:3]
        return int(flop_counter.sdpa_flop_count(query.shape, key.shape, value.shape))
    return 0


def _pools(name: str, args: Arguments) -> bool:
    """Return whether an operation is a pooling, such as a mean over the last two of four axes."""
    if name in POOLINGS:
        return True
    if name != "mean" or len(args) < 2 or not isinstance(args[0], Tensor) or args[0].dim() != 4:
        return False
    return sorted(axis % 4 for axis in args[1] or ()) == [2, 3]
