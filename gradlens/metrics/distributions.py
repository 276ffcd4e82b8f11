"""Student's t and the normal distribution, from ``scipy.special``, which is slow to import and so read when needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradlens.metrics.hsic import Array


def t_quantile(free: int | NDArray[Any], probability: float) -> Array:
    """Quantile of Student's t distribution with ``free`` degrees of freedom.

    >>> round(float(t_quantile(1, 0.975)), 3)
    12.706
    """
    from scipy.special import stdtrit

    return np.asarray(stdtrit(free, probability))


def t_probability(free: int | NDArray[Any], value: float | Array) -> Array:
    """Probability that Student's t with ``free`` degrees of freedom is at most ``value``."""
    from scipy.special import stdtr

    return np.asarray(stdtr(free, value))


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(probability))
