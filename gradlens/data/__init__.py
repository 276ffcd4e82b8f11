"""Seeded batches: the same images in the same order for every network that is compared.

Public names load on first use, so data can be checked (``checks``, ``images``) without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlens.data.batches import Batches
    from gradlens.data.loading import DATASETS, load_data
    from gradlens.data.supplied import SuppliedBatches

_MODULES = {
    "DATASETS": "loading",
    "Batches": "batches",
    "SuppliedBatches": "supplied",
    "load_data": "loading",
}

__all__ = ["DATASETS", "Batches", "SuppliedBatches", "load_data"]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'gradlens.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gradlens.data.{_MODULES[name]}"), name)
