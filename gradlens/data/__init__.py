"""Seeded batches: the same images in the same order for every network that is compared."""

from gradlens.data.batches import Batches
from gradlens.data.loading import DATASETS, load_data
from gradlens.data.supplied import SuppliedBatches

__all__ = ["DATASETS", "Batches", "SuppliedBatches", "load_data"]
