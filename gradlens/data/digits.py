"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from gradlens.data.request import Request
from gradlens.data.samples import Samples

FILE = Path("datasets") / "data" / "digits.csv.gz"
"""The digits in the folder of scikit-learn."""


def digit_samples(request: Request) -> Samples:
    """Return digits, standardised over the whole set, enlarged, and repeated over the channels.

    Source: E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI.

    Raises:
        GradlensError: more samples are requested than exist.
    """
    drawn, labels = handwritten()
    grey, targets = torch.tensor(drawn, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64)
    request.require(len(grey), f"digits has {len(grey)} samples")
    chosen = request.order(len(grey))[request.first : request.first + request.samples]
    standard = (grey - grey.mean()) / grey.std()
    size = (request.image_size, request.image_size)
    images = interpolate(standard[chosen].unsqueeze(1), size=size, mode="bilinear", align_corners=False)
    return Samples(
        images.repeat(1, request.in_chans, 1, 1),
        targets[chosen],
        tuple(map(str, range(10))),
        len(grey),
    )


@cache
def handwritten() -> tuple[NDArray[Any], NDArray[Any]]:
    """Return all images ``[n, 8, 8]``, ink 0 to 16, and their digits ``[n]``.

    They are read from the file of scikit-learn, because importing the library takes longer than a step of a network.
    """
    library = find_spec("sklearn")
    folders = (library.submodule_search_locations or ()) if library else ()
    file = next((path for path in (Path(folder) / FILE for folder in folders) if path.is_file()), None)
    if file is None:
        from sklearn.datasets import load_digits  # raises if it is missing, or knows where its file is

        bundle = load_digits()
        return bundle.images, bundle.target
    rows = np.loadtxt(file, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
