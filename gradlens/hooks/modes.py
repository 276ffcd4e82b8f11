"""Modes of PyTorch: those that see each operation while they are active, and the one that compiles nothing."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import cast

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class EagerMode(TorchDispatchMode):
    """A dispatch mode for passes that are not compiled.

    PyTorch imports its compiler for the other modes, to keep it out of them: that takes longer than a capture of a
    small network.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


class _Uncompiled:
    """A context in which PyTorch compiles nothing; it ends when the last of its users has left, in any order."""

    def __init__(self) -> None:
        self._users, self._stance = 0, ExitStack()

    def __enter__(self) -> None:
        self._users += 1
        if self._users == 1:
            self._stance.enter_context(torch.compiler.set_stance("force_eager"))

    def __exit__(self, *error: object) -> None:
        self._users -= 1
        if not self._users:
            self._stance.close()


_UNCOMPILED = _Uncompiled()


def original(model: nn.Module) -> nn.Module:
    """Return the module inside of ``torch.compile``, whose names are the user's."""
    while type(model).__name__ == "OptimizedModule":
        model = cast(nn.Module, model._orig_mod)
    return model


def uncompiled() -> AbstractContextManager[None]:
    """Return a context in which compiled modules run uncompiled; such contexts may end in any order."""
    return _UNCOMPILED if "torch._dynamo" in sys.modules else nullcontext()  # else nothing is compiled
