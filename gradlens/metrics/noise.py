"""Signal and noise of a mini-batch gradient, from per-sample weight gradients."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gradlens.metrics.hsic import Array


class Noise(NamedTuple):
    """Unbiased estimates: the variance ``tr Σ`` of a sample's gradient, and ``|G|²`` of the mean gradient."""

    variance: float
    square: float


def noise(gram: Array) -> Noise:
    """``tr Σ`` and ``|G|²`` of one batch, both unbiased for independent samples.

    With the mean ``ḡ`` of ``n`` samples: ``tr Σ = Σ‖g_i − ḡ‖² / (n − 1)`` and ``|G|² = |ḡ|² − tr Σ / n``
    (McCandlish, Kaplan, Amodei et al. 2018, arXiv 1812.06162, appendix A.1, with batches of 1 and n).

    Args:
        gram: ``[n, n]`` of per-sample gradients of the summed loss; the Grams of several layers add up.

    Returns:
        NaN for fewer than two samples. ``square`` is negative if the noise exceeds the mean.

    >>> noise(np.array([[1.0, 1.0], [1.0, 1.0]]))
    Noise(variance=0.0, square=1.0)
    """
    n = gram.shape[-1]
    if n < 2:
        return Noise(math.nan, math.nan)
    mean = float(gram.sum()) / n**2
    variance = (float(np.trace(gram)) - n * mean) / (n - 1)
    return Noise(variance, mean - variance / n)


def noise_scale(terms: list[Noise]) -> float:
    """Simple noise scale ``B = tr Σ / |G|²`` in samples; the gradient of a much smaller batch is mostly noise.

    Numerator and denominator are averaged over batches before dividing (McCandlish 2018, appendix A.1).

    Returns:
        NaN if the mean gradient cannot be distinguished from 0.
    """
    square = float(np.mean([term.square for term in terms])) if terms else math.nan
    return float(np.mean([term.variance for term in terms])) / square if square > 0 else math.nan


def signal_to_noise(terms: list[Noise]) -> float:
    """``|G|² / tr Σ``, the squared signal-to-noise ratio of one sample's gradient; NaN if the scale is not positive."""
    scale = noise_scale(terms)
    return 1 / scale if scale > 0 else math.nan
