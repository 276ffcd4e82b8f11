"""The recording of watched backward passes, its file and its costs. No torch.

``Recording`` loads on first use: the command line needs ``Watch`` without the slow import of numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.recording.watch import Watch

if TYPE_CHECKING:
    from gradlens.recording.recording import Recording

__all__ = ["Recording", "Watch"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gradlens.recording' has no attribute {name!r}")
    from gradlens.recording import recording

    return getattr(recording, name)
