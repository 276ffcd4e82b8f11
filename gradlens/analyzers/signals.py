"""Stages of a recording's signals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradlens.recording import Recording

WHOLE = "whole"
"""Row of a table for the whole network, beside those of its stages."""


def stages_of(recording: Recording) -> list[str]:
    """Return the stages of the signals in forward order."""
    return list(dict.fromkeys(signal.stage for signal in recording.signals))


def members(recording: Recording, stage: str) -> NDArray[np.intp]:
    """Return the indices of the signals of a stage, or of all for ``whole``."""
    return np.flatnonzero([stage in (WHOLE, signal.stage) for signal in recording.signals])
