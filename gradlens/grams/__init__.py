"""What is kept of watched gradients: Grams, inner products at forks, and the Recording of them."""

from gradlens.grams.capturing import capture
from gradlens.grams.recording import Recording
from gradlens.progress import Progress

__all__ = ["Progress", "Recording", "capture"]
