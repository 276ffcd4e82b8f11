"""Seeded batches: the same images in the same order for every network that is compared."""

from gradlens.data.batches import Batches
from gradlens.data.loading import DATASETS, load_data

__all__ = ["DATASETS", "Batches", "load_data"]
