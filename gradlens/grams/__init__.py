"""What is kept of watched gradients: Grams, inner products at forks, and the Recording of them."""

from gradlens.grams.capturing import Progress, capture
from gradlens.grams.recording import Recording

__all__ = ["Progress", "Recording", "capture"]
