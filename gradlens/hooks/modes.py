"""Dispatch modes, which see each operation of PyTorch while they are active."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class EagerMode(TorchDispatchMode):
    """A dispatch mode for passes that are not compiled.

    PyTorch imports its compiler for the other modes, to keep it out of them: that takes longer than a capture of a
    small network.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
