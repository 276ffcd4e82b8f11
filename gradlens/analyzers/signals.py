"""Stages of a recording's signals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gradlens.graph.stage_order import in_order
from gradlens.recording import Recording

WHOLE = "whole"
"""Stage label of a table's row for the whole network."""


def stages_of(recording: Recording) -> list[str]:
    """Return the stages of the signals in the order of tables."""
    return in_order(signal.stage for signal in recording.signals)


def signals_of(recording: Recording, stage: str) -> NDArray[np.intp]:
    """Return the indices of the signals of a stage, or of all signals for ``whole``."""
    return np.flatnonzero([stage in (WHOLE, signal.stage) for signal in recording.signals])
