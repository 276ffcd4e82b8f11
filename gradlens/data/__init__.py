"""Seeded batches: the same images in the same order for every network that is compared.

Public names load on first use, so data can be checked (``checks``, ``images``) without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.exports import exports

if TYPE_CHECKING:
    from gradlens.data.batches import Batches
    from gradlens.data.loading import DATASETS, load_data
    from gradlens.data.supplied import SuppliedBatches

__all__ = ["DATASETS", "Batches", "SuppliedBatches", "load_data"]

_MODULES = {
    "DATASETS": "loading",
    "Batches": "batches",
    "SuppliedBatches": "supplied",
    "load_data": "loading",
}

__getattr__ = exports(__name__, _MODULES)
