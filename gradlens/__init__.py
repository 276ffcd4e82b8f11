"""gradlens: exact per-branch gradient flow of PyTorch networks.

Public names load on first use, so ``import gradlens`` loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gradlens.errors import GradlensError
from gradlens.version import VERSION

if TYPE_CHECKING:
    from gradlens.data import load_data
    from gradlens.grams import Recording, capture
    from gradlens.models import load_model, model_names, warm_up
    from gradlens.results import Result, Table, load
    from gradlens.study import analyze, compare, inspect

__version__ = VERSION

_HOMES = {
    "Recording": "gradlens.grams",
    "Result": "gradlens.results",
    "Table": "gradlens.results",
    "analyze": "gradlens.study",
    "capture": "gradlens.grams",
    "compare": "gradlens.study",
    "inspect": "gradlens.study",
    "load": "gradlens.results",
    "load_data": "gradlens.data",
    "load_model": "gradlens.models",
    "model_names": "gradlens.models",
    "warm_up": "gradlens.models",
}

__all__ = [
    "GradlensError",
    "Recording",
    "Result",
    "Table",
    "__version__",
    "analyze",
    "capture",
    "compare",
    "inspect",
    "load",
    "load_data",
    "load_model",
    "model_names",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradlens' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
