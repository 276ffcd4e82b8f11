"""The Recording of watched backward passes, its file and its costs. No torch."""

from gradlens.recording.recording import Recording

__all__ = ["Recording"]
