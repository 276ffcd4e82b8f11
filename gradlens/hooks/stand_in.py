"""What stands in for a loss that is not known: a sum of the outputs of the model, in a dry pass and in the graph."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from gradlens.hooks.dry import DryPass
from gradlens.hooks.modes import original
from gradlens.hooks.nesting import plain, tensors_of
from gradlens.hooks.returning import returned_tensors
from gradlens.hooks.state import Guard
from gradlens.hooks.watcher import Watcher
from gradlens.randomness import random_states_kept
from gradlens.recording.watch import Watch

KEPT = 16
"""Dry passes that are kept, of batches of different shapes."""


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module inside of ``torch.compile`` and ``DistributedDataParallel``, whose names are the user's."""
    model = original(model)
    return unwrapped(model.module) if isinstance(model, DistributedDataParallel) else model


def weighted_sum(outputs: Sequence[Tensor]) -> Tensor:
    """Return a scalar with a graph that reads all outputs: their weighted sum.

    The weights differ from element to element: the gradient of a plain sum is zero before a normalisation.
    """
    with torch.enable_grad(), torch.autocast(outputs[0].device.type, enabled=False), _saved_aside():
        sums = [_weighted(output) for output in outputs]
        total = sums[0]
        for each in sums[1:]:
            total = total + each.to(total)
        return total


def _weighted(output: Tensor) -> Tensor:
    real = output.real if output.is_complex() else output
    weights = torch.linspace(-1.0, 2.0, real.numel(), device=real.device).to(real.dtype)
    return (real * weights.reshape(real.shape)).sum()


class DryPasses:
    """Dry passes of a model over a few samples, one for all batches of the same shapes.

    They tell the axis of the samples at each place, and which branches are uneven. Random numbers go on from the
    state at hand, so that a network that skips parts at random skips the same ones; all states are restored.

    Args:
        model: any module.
        watch: what to watch, and how.
    """

    def __init__(self, model: nn.Module, watch: Watch) -> None:
        self._model, self._watch = model, watch
        self._kept: OrderedDict[Hashable, DryPass | None] = OrderedDict()

    def of(self, batch: tuple[Any, ...], n: int) -> DryPass | None:
        """Return the dry pass of a batch: the arguments of the model and its named arguments; None if there is none."""
        shapes = [tuple(tensor.shape) if plain(tensor) else () for tensor in tensors_of(batch)]
        key = (n, *shapes, *(module.training for module in self._model.modules()))
        if any(map(is_lazy, self._model.parameters())):  # a dry pass would draw the weights
            return None
        if key not in self._kept:
            self._kept[key] = self._run(batch, n)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _run(self, batch: tuple[Any, ...], n: int) -> DryPass | None:
        if waits_for_others(self._model):
            return None
        watcher = Watcher(self._model, self._watch, _step, guard=Guard(self._model), seeded=False)
        with undisturbed(self._model):
            return watcher.dry(0, batch, n)


def _step(model: nn.Module, batch: Any) -> Tensor:
    args, kwargs = batch
    outputs = returned_tensors(model(*args, **kwargs))
    return weighted_sum([output for output in outputs if output.requires_grad and plain(output)])


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a pass of gradlens inside of a step of a training: without the hooks of others, and with its random numbers.

    The values of the model are restored by ``hooks.state``.
    """
    with hooks_aside(model), random_states_kept(), _uncached(), _saved_aside(), torch.enable_grad():
        yield


def waits_for_others(model: nn.Module) -> bool:
    """Return whether a forward pass waits for other processes, which would not run the same dry pass."""
    return is_distributed() and any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())


def is_distributed() -> bool:
    """Return whether this process is in a process group."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


@contextmanager
def hooks_aside(model: nn.Module) -> Iterator[None]:
    """Leave out the hooks of others, which may keep what they see, or change something outside of the model.

    Those of torch itself stay, such as the ones of ``weight_norm``. Backward hooks are replaced by ones that do
    nothing, so that the graph has the same operations. The dictionaries are changed in place, because handles and
    autograd refer to them.
    """
    modules = list(model.modules())
    forward = [hooks for module in modules for hooks in (module._forward_pre_hooks, module._forward_hooks)]
    backward = [hooks for module in modules for hooks in (module._backward_pre_hooks, module._backward_hooks)]
    backward += [each._backward_hooks for each in model.parameters() if each._backward_hooks]
    kept: list[tuple[Any, dict[int, Any]]] = [(hooks, dict(hooks)) for hooks in (*forward, *backward)]
    try:
        for hooks in forward:
            for key in [key for key, hook in hooks.items() if not _of_torch(hook)]:
                del hooks[key]
        for hooks in backward:
            hooks.update(dict.fromkeys(hooks, _nothing))
        yield
    finally:
        for hooks, before in kept:
            hooks.clear()
            hooks.update(before)


def _of_torch(hook: object) -> bool:
    return str(getattr(hook, "__module__", type(hook).__module__)).startswith("torch.")


def _nothing(*arguments: object) -> None:
    """Do nothing, as a hook."""


def _saved_aside() -> saved_tensors_hooks:
    """Save tensors as torch does; a checkpoint around the model counts those that it saves."""
    return saved_tensors_hooks(_same, _same)


def _same(tensor: Tensor) -> Tensor:
    return tensor


@contextmanager
def _uncached() -> Iterator[None]:
    """Keep the weights that autocast has cast for a dry pass out of its cache."""
    enabled = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(enabled)
