"""What watched passes left: the Recording, its file and its costs. No torch.

The name loads on first use: ``gradlens.recording.watch`` is needed where numpy would be slow to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlens.recording.recording import Recording

__all__ = ["Recording"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gradlens.recording' has no attribute {name!r}")
    from gradlens.recording import recording

    return getattr(recording, name)
