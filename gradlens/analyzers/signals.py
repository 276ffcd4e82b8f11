"""The signals of a recording: their names and stages in depth order."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from gradlens.recording import Recording

WHOLE = "whole"


def signal_names(recording: Recording) -> list[str]:
    """Module path of each signal, with ``@2`` for a module's second call."""
    counted: Counter[str] = Counter()
    names = []
    for number in recording.plan.signals:
        module = recording.plan.probes[number].module or "(model)"
        counted[module] += 1
        names.append(module if counted[module] == 1 else f"{module}@{counted[module]}")
    return names


def signal_stages(recording: Recording) -> list[str]:
    """Stage of each signal."""
    return [recording.plan.probes[number].stage for number in recording.plan.signals]


def stages_of(recording: Recording) -> list[str]:
    """Stages in forward order."""
    return list(dict.fromkeys(signal_stages(recording)))


def members(recording: Recording, stage: str) -> NDArray[np.intp]:
    """Places of the signals of a stage, or of all for ``whole``."""
    own = signal_stages(recording)
    return np.flatnonzero([stage in (WHOLE, label) for label in own])


def network(recording: Recording) -> str:
    """Display name of the recorded network."""
    return str(recording.meta.get("network") or recording.meta.get("model_class", "model"))
