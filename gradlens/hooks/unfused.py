"""Run recurrent layers step by step, so that each step is an operation of the graph.

torch runs ``nn.LSTM`` on a CPU, and all recurrent layers on a GPU, in kernels that hide the steps. Without them it runs
its own step by step code, for any number of layers, both directions, packed sequences and projections. The values agree
up to rounding (``nn.GRU`` and ``nn.RNN`` on a CPU: exactly), and so do the random numbers of the dropout between layers
on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle


@contextmanager
def step_by_step(model: nn.Module) -> Iterator[None]:
    """Switch the fused kernels off during the calls of recurrent layers, while the context is open."""
    switches = _Switches()
    handles: list[RemovableHandle] = []
    try:
        for module in recurrent_layers(model).values():
            handles.append(module.register_forward_pre_hook(switches.off))
            handles.append(module.register_forward_hook(switches.on, always_call=True))
        yield
    finally:
        switches.restore()
        for handle in handles:
            handle.remove()


def recurrent_layers(model: nn.Module) -> dict[str, nn.RNNBase]:
    """Return the layers ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN`` by path."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, nn.RNNBase) and not isinstance(module, torch.jit.ScriptModule)
    }


def fused(model: nn.Module, called: Iterable[str]) -> list[str]:
    """Return the recurrent layers, of those that were called, that torch itself runs in a kernel without steps."""
    return [path or "the model" for path, module in _ran(model, called) if _fused(module)]


def other_draws(model: nn.Module, called: Iterable[str]) -> list[str]:
    """Return those whose dropout draws other random numbers in that kernel, as on a GPU."""
    return [
        path or "the model"
        for path, module in _ran(model, called)
        if _fused(module) and module.training and module.dropout and next(module.parameters()).is_cuda
    ]


def _ran(model: nn.Module, called: Iterable[str]) -> list[tuple[str, nn.RNNBase]]:
    ran = set(called)
    return [(path, module) for path, module in recurrent_layers(model).items() if path in ran]


def _fused(module: nn.RNNBase) -> bool:
    weight = next(module.parameters())
    if weight.is_cuda:
        return bool(torch.backends.cudnn.enabled)
    known = isinstance(module, nn.LSTM) and not module.proj_size and weight.dtype != torch.float64
    return known and torch.backends.mkldnn.is_available() and bool(torch._C._get_mkldnn_enabled())


class _Switches:
    """The switches of the fused kernels, and their settings outside the calls."""

    def __init__(self) -> None:
        self._kept: list[tuple[bool, bool]] = []

    def off(self, module: nn.Module, args: object) -> None:
        self._kept.append((torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()))
        if not _is_checkpointed():
            _set(False, False)

    def on(self, module: nn.Module, args: object, output: object) -> None:
        if self._kept:
            _set(*self._kept.pop())

    def restore(self) -> None:
        """Restore the settings after a call that raised an exception."""
        while self._kept:
            _set(*self._kept.pop())


def _is_checkpointed() -> bool:
    """Return whether a checkpoint will run this call again, with the kernels, and compare what was saved."""
    hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)
    return hooks is not None and "checkpoint" in str(getattr(hooks[0], "__module__", ""))


def _set(mkldnn: bool, cudnn: bool) -> None:
    torch._C._set_mkldnn_enabled(mkldnn)
    torch._C._set_cudnn_enabled(cudnn)
