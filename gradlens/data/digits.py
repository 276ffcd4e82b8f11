"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate

from gradlens.data.request import Request
from gradlens.data.samples import Samples


def digit_samples(request: Request) -> Samples:
    """Return digits, standardised over the whole set, enlarged, and repeated over the channels.

    Source: E. Alpaydin and C. Kaynak 1998, Optical Recognition of Handwritten Digits, UCI.

    Raises:
        GradlensError: more samples are requested than exist.
    """
    from sklearn.datasets import load_digits  # slow to import, and other data does not need it

    bundle = load_digits()
    grey = torch.tensor(bundle.images, dtype=torch.float32)
    targets = torch.tensor(bundle.target, dtype=torch.int64)
    request.require(len(grey), f"digits has {len(grey)} samples")
    chosen = request.order(len(grey))[request.first : request.first + request.samples]
    standard = (grey - grey.mean()) / grey.std()
    size = (request.image_size, request.image_size)
    images = interpolate(standard[chosen].unsqueeze(1), size=size, mode="bilinear", align_corners=False)
    return Samples(
        images.repeat(1, request.in_chans, 1, 1),
        targets[chosen],
        tuple(map(str, bundle.target_names)),
        len(grey),
    )
