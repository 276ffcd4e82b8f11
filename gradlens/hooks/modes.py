"""Modes of PyTorch: those that see each operation while they are active, and the one that compiles nothing."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class EagerMode(TorchDispatchMode):
    """A dispatch mode for passes that are not compiled.

    PyTorch imports its compiler for the other modes, to keep it out of them: that takes longer than a capture of a
    small network.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def uncompiled() -> AbstractContextManager[object]:
    """Return a context in which compiled modules run uncompiled."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled
        return nullcontext()
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance
