"""Normal noise and random tokens: unlimited data sets that need no file."""

from __future__ import annotations

import numpy as np
import torch

from gradlens.data.request import Request
from gradlens.data.samples import Samples
from gradlens.data.tokens import Tokens


def noise_samples(request: Request) -> Samples:
    """Return standard normal images with uniform targets; the seed and its number determine a batch."""
    shape = (request.batch_size, request.in_chans, request.image_size, request.image_size)
    images, targets = [], []
    for index in range(request.start, request.start + request.batches):
        generator = np.random.default_rng([request.seed, index])
        images.append(torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)))
        targets.append(torch.from_numpy(generator.integers(request.num_classes, size=request.batch_size)))
    return Samples(torch.cat(images), torch.cat(targets), tuple(map(str, range(request.num_classes))), None)


def token_samples(form: Tokens, request: Request) -> Samples:
    """Return uniform tokens ``[batches * n, length]`` int64 with uniform class targets, by the seed."""
    tokens, targets = [], []
    for index in range(request.start, request.start + request.batches):
        generator = np.random.default_rng([request.seed, index])
        tokens.append(
            torch.from_numpy(generator.integers(form.vocabulary, size=(request.batch_size, form.length)))
        )
        targets.append(torch.from_numpy(generator.integers(form.classes, size=request.batch_size)))
    return Samples(torch.cat(tokens), torch.cat(targets), tuple(map(str, range(form.classes))), None)
