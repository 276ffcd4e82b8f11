"""Restore the exact state of a model after a block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.nn.parameter import is_lazy

from gradlens.errors import GradlensError
from gradlens.hooks.snapshots import Snapshots, version_of
from gradlens.randomness import random_states_kept
from gradlens.recording.watch import MODES

INTERNAL = frozenset(vars(nn.Module()))
"""Attributes that every module has: its parameters, buffers, children and hooks."""


@contextmanager
def preserved(model: nn.Module, mode: str = "train") -> Iterator[None]:
    """Run the block with the model in a mode, then restore modes, buffers, plain attributes and random states.

    Between the batches of the block the state develops as in training (running statistics, a hidden state that a
    module keeps); after the block everything is as before it. Parameters are restored by ``Guard``.
    Gradients are taken with ``torch.autograd.grad``; ``.grad`` is set aside meanwhile, because a step may change it.

    Args:
        model: any module.
        mode: ``train``, ``eval`` or ``keep``.

    Raises:
        GradlensError: an unknown mode.
    """
    if mode not in MODES:
        raise GradlensError(f"mode {mode!r} is not known; use one of {', '.join(MODES)}")
    modes = [(module, module.training) for module in model.modules()]
    gradients = [(parameter, parameter.grad) for parameter in _parameters(model)]
    with restored(model), random_states_kept():
        try:
            for parameter, _ in gradients:
                parameter.grad = None
            if mode != "keep":
                model.train(mode == "train")
            yield
        finally:
            for module, training in modes:
                module.training = training
            for parameter, gradient in gradients:
                parameter.grad = gradient


@contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Run the block, then restore buffers and plain attributes.

    Args:
        model: any module.
    """
    snapshots = Snapshots([*model.modules(), *model.parameters(), *model.buffers()])
    undo = [restore for module in model.modules() for restore in _undo(module, snapshots)]
    try:
        yield
    finally:
        with torch.no_grad():
            for restore in undo:
                restore()


@contextmanager
def versions_kept(model: nn.Module) -> Iterator[None]:
    """Run a block that leaves all values of a model as they are, and the number of their changes too.

    A graph may have saved some of them, and autograd refuses its backward pass if they were changed, also if they were
    changed back, as the running statistics are after a trial run.
    """
    with ExitStack() as stack:
        for tensor in (*_parameters(model), *model.buffers()):
            if not is_lazy(tensor) and not tensor.is_inference():
                stack.enter_context(_unsafe_preserve_version_counter(tensor))
        yield


def _parameters(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if not is_lazy(parameter)]


class Guard:
    """Remembers the parameters, and restores those that forward changes.

    Copies are made of the parameters that a trial run changed, so that ordinary networks need no memory for them.

    Args:
        model: any module.
    """

    def __init__(self, model: nn.Module) -> None:
        self._names = {id(parameter): name for name, parameter in model.named_parameters()}
        self._versions = [(parameter, version_of(parameter)) for parameter in _parameters(model)]
        self._copies: list[tuple[nn.Parameter, Tensor]] = []

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Run the block and restore all parameters; keep copies of those that it changed."""
        copies = [(parameter, parameter.detach().clone()) for parameter, _ in self._versions]
        unchanged = self._unchanged()
        try:
            yield
        finally:
            changed = [(parameter, saved) for parameter, saved in copies if not _equal(parameter, saved)]
            _put_back(changed)
            self._copies += [(parameter, saved) for parameter, saved in changed if id(parameter) in unchanged]

    def copy_all(self) -> None:
        """Keep copies of all parameters, because there is no trial run."""
        unchanged = self._unchanged()
        self._copies += [(p, p.detach().clone()) for p, _ in self._versions if id(p) in unchanged]

    def finish(self) -> None:
        """Restore the parameters that were changed.

        Raises:
            GradlensError: a parameter was changed that the trial run had not changed.
        """
        known = {id(parameter) for parameter, _ in self._copies}
        lost = [
            self._names.get(id(parameter), "?")
            for parameter, version in self._versions
            if version_of(parameter) != version and id(parameter) not in known
        ]
        _put_back(self._copies)
        if lost:
            raise GradlensError(
                f"the step changed {', '.join(lost[:3])} in a later batch only, so it could not be restored; capture a "
                "copy of the model, copy.deepcopy(model)"
            )

    def _unchanged(self) -> set[int]:
        """Return the parameters that have their first values and of which there is no copy yet."""
        known = {id(parameter) for parameter, _ in self._copies}
        return {id(p) for p, version in self._versions if version_of(p) == version} - known


def _put_back(copies: Iterable[tuple[nn.Parameter, Tensor]]) -> None:
    with torch.no_grad():
        for parameter, saved in copies:
            if not _equal(parameter, saved):
                parameter.data = saved.clone() if parameter.shape != saved.shape else parameter.data
                parameter.copy_(saved)


def _equal(tensor: Tensor, saved: Tensor) -> bool:
    return tensor.shape == saved.shape and torch.equal(tensor, saved)


def _undo(module: nn.Module, snapshots: Snapshots) -> Iterator[Callable[[], None]]:
    """Yield functions that restore the buffers and the plain attributes of a module."""
    lazy = any(
        tensor is not None and is_lazy(tensor)
        for tensor in (*module._buffers.values(), *module._parameters.values())
    )
    if lazy:  # it becomes an ordinary layer at its first call, and its statistics start anew
        yield lambda: _reset(module)
        return
    for name, buffer in module._buffers.items():
        if buffer is not None:
            yield _restore_buffer(module, name, buffer, buffer.detach().clone())
    names = [name for name in vars(module) if name not in INTERNAL]
    contents = {name: snapshots.of(vars(module)[name]) for name in names}
    if not isinstance(module, torch.jit.ScriptModule):
        yield lambda: _restore_attributes(module, contents)


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_running_stats", None)
    if reset is not None:
        reset()


def _restore_buffer(module: nn.Module, name: str, buffer: Tensor, saved: Tensor) -> Callable[[], None]:
    def restore() -> None:
        buffer.copy_(saved)
        module._buffers[name] = buffer  # forward may have replaced it

    return restore


def _restore_attributes(module: nn.Module, contents: dict[str, Callable[[], Any]]) -> None:
    for name in [name for name in vars(module) if name not in INTERNAL and name not in contents]:
        delattr(module, name)
    for name, restore in contents.items():
        vars(module)[name] = restore()
