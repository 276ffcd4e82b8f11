"""Seeded batches: the same images in the same order for every network that is compared."""

from gradlens.data.batches import Batches
from gradlens.data.loading import load_data

DATASETS: dict[str, str] = {
    "digits": "1797 handwritten digits of scikit-learn, 8x8 pixels enlarged, 10 classes (bundled)",
    "random": "seeded normal noise with random targets, 10 classes, for dry runs",
    "folder": "images in one folder per class; give the path of the folder that contains them",
}

__all__ = ["DATASETS", "Batches", "load_data"]
