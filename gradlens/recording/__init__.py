"""The recording of watched backward passes, its file and its costs. No torch.

``Recording`` loads on first use: the command line needs ``Watch`` without the slow import of numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.exports import exports
from gradlens.recording.watch import Watch

if TYPE_CHECKING:
    from gradlens.recording.recording import Recording

__all__ = ["Recording", "Watch"]

__getattr__ = exports(__name__, {"Recording": "recording"})
