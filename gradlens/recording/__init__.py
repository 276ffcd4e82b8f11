"""The Recording of watched backward passes, its file and its costs. No torch."""

from gradlens.recording.recording import Recording
from gradlens.recording.watch import Watch

__all__ = ["Recording", "Watch"]
