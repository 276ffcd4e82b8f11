"""gradlens: exact per-branch gradient flow of PyTorch networks.

Public names load on first use, so ``import gradlens`` loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.errors import GradlensError
from gradlens.exports import exports
from gradlens.installation import warn_of_conflict
from gradlens.version import VERSION

if TYPE_CHECKING:
    from gradlens.data import load_data
    from gradlens.hooks import capture
    from gradlens.models import TRANSITIONS, cspify, load_model, model_names, warm_up
    from gradlens.recording import Recording, Watch
    from gradlens.results import Result, Table
    from gradlens.studies.analysis import analyze
    from gradlens.studies.options import Training
    from gradlens.studies.shattering import shattering
    from gradlens.studies.strategies import strategies
    from gradlens.studies.studies import compare, inspect, paths
    from gradlens.watching.alarms import Alarm
    from gradlens.watching.lightning import LightningWatch
    from gradlens.watching.logs import CsvLog, ParquetLog
    from gradlens.watching.mlflow import MlflowLog
    from gradlens.watching.reading import load
    from gradlens.watching.tensorboard import TensorBoardLog
    from gradlens.watching.transformers import TransformersWatch
    from gradlens.watching.wandb import WandbLog
    from gradlens.watching.watching import Watching, watch

__version__ = VERSION
warn_of_conflict()

__all__ = [
    "Alarm",
    "CsvLog",
    "GradlensError",
    "LightningWatch",
    "MlflowLog",
    "ParquetLog",
    "Recording",
    "Result",
    "TRANSITIONS",
    "Table",
    "TensorBoardLog",
    "Training",
    "TransformersWatch",
    "WandbLog",
    "Watch",
    "Watching",
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
    "watch",
]

_MODULES = {
    "Alarm": "watching.alarms",
    "CsvLog": "watching.logs",
    "LightningWatch": "watching.lightning",
    "MlflowLog": "watching.mlflow",
    "ParquetLog": "watching.logs",
    "Recording": "recording",
    "Result": "results",
    "TRANSITIONS": "models",
    "Table": "results",
    "TensorBoardLog": "watching.tensorboard",
    "Training": "studies.options",
    "TransformersWatch": "watching.transformers",
    "WandbLog": "watching.wandb",
    "Watch": "recording",
    "Watching": "watching.watching",
    "analyze": "studies.analysis",
    "capture": "hooks",
    "compare": "studies.studies",
    "cspify": "models",
    "inspect": "studies.studies",
    "load": "watching.reading",
    "load_data": "data",
    "load_model": "models",
    "model_names": "models",
    "paths": "studies.studies",
    "shattering": "studies.shattering",
    "strategies": "studies.strategies",
    "warm_up": "models",
    "watch": "watching.watching",
}

__getattr__ = exports(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
