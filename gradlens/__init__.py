"""gradlens: exact per-branch gradient flow of PyTorch networks.

Public names load on first use, so ``import gradlens`` loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from gradlens.errors import GradlensError
from gradlens.installation import warn_of_conflict
from gradlens.version import VERSION

if TYPE_CHECKING:
    from gradlens.data import load_data
    from gradlens.hooks import capture
    from gradlens.models import TRANSITIONS, cspify, load_model, model_names, warm_up
    from gradlens.recording import Recording, Watch
    from gradlens.results import Result, Table, load
    from gradlens.studies.analysis import analyze
    from gradlens.studies.options import Training
    from gradlens.studies.shattering import shattering
    from gradlens.studies.strategies import strategies
    from gradlens.studies.studies import compare, inspect, paths

__version__ = VERSION
warn_of_conflict()

_MODULES = {
    "Recording": "gradlens.recording",
    "Result": "gradlens.results",
    "TRANSITIONS": "gradlens.models",
    "Table": "gradlens.results",
    "Training": "gradlens.studies.options",
    "Watch": "gradlens.recording",
    "analyze": "gradlens.studies.analysis",
    "capture": "gradlens.hooks",
    "compare": "gradlens.studies.studies",
    "cspify": "gradlens.models",
    "inspect": "gradlens.studies.studies",
    "load": "gradlens.results",
    "load_data": "gradlens.data",
    "load_model": "gradlens.models",
    "model_names": "gradlens.models",
    "paths": "gradlens.studies.studies",
    "shattering": "gradlens.studies.shattering",
    "strategies": "gradlens.studies.strategies",
    "warm_up": "gradlens.models",
}

__all__ = [
    "GradlensError",
    "Recording",
    "Result",
    "TRANSITIONS",
    "Table",
    "Training",
    "Watch",
    "__version__",
    "analyze",
    "capture",
    "compare",
    "cspify",
    "inspect",
    "load",
    "load_data",
    "load_model",
    "model_names",
    "paths",
    "shattering",
    "strategies",
    "warm_up",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'gradlens' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
