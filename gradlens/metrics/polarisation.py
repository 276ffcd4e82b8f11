"""Inner products of two gradients from the squared norms of weighted sums of them.

``2 w ⟨a, b⟩ = ‖a + w b‖² - ‖a‖² - w² ‖b‖²``: so neither gradient is kept. Rounding of the squared norms leaves an error
of about ``ε (r + 1/r) / 2`` of the cosine, where ``r = ‖a‖ / (w ‖b‖)``; it is least for a weight near ``‖a‖ / ‖b‖``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradlens.metrics.hsic import Array

ACCURATE = 1e-5
"""Error of a cosine above which another weight is worth a pass."""
LOST = 0.01
"""Error of a cosine above which it is left out."""
FEW = 0.01
"""Share of the cosines that may stay less accurate than ``ACCURATE`` without another pass."""


class Weighted(NamedTuple):
    """Squared norms of ``a + weight · b``.

    Attributes:
        weight: of the second gradient, positive.
        squares: ``[...]``.
    """

    weight: float
    squares: Array


class Products(NamedTuple):
    """Inner products and the error of the cosines.

    Attributes:
        values: ``[...]``; NaN where the error is above ``LOST``, 0 where a gradient is zero.
        errors: ``[...]``; 0 where a gradient is zero, infinite without a pass.
    """

    values: Array
    errors: Array

    @property
    def inaccurate(self) -> np.ndarray:
        """Where the error is above ``ACCURATE``."""
        return np.asarray(self.errors > ACCURATE)


def products(first: Array, second: Array, passes: Sequence[Weighted], precision: float) -> Products:
    """Return the inner products of two gradients, each from the pass whose weight suits it best.

    Args:
        first: squared norms of the first gradient, ``[...]``.
        second: squared norms of the second gradient, ``[...]``.
        passes: squared norms of weighted sums.
        precision: relative error of a squared norm.

    >>> products(np.array([1.0]), np.array([4.0]), [Weighted(0.5, np.array([3.0]))], 1e-7).values
    array([1.])
    """
    alive = (first > 0) & (second > 0)
    values, errors = np.zeros_like(first), np.where(alive, np.inf, 0.0)
    ratio = np.sqrt(np.divide(first, second, out=np.ones_like(first), where=alive))
    for weight, squares in passes:
        uneven = ratio / weight
        error = precision * (uneven + 1 / uneven) / 2
        better = alive & (error < errors)
        product = (squares - first - weight**2 * second) / (2 * weight)
        values, errors = np.where(better, product, values), np.where(better, error, errors)
    values[errors > LOST] = np.nan
    values[np.isnan(first) | np.isnan(second)] = np.nan
    return Products(values, errors)


def further_weight(first: Array, second: Array, known: Products) -> float | None:
    """Return the weight of another pass, the median ratio of the norms where the error is large; None if few are.

    Args:
        first: squared norms of the first gradient, ``[...]``.
        second: squared norms of the second gradient, ``[...]``.
        known: from the passes so far.
    """
    alive = (first > 0) & (second > 0)
    rest = alive & known.inaccurate
    if not alive.any() or rest.sum() <= FEW * alive.sum():
        return None
    return float(np.exp(np.median(np.log(first[rest]) - np.log(second[rest])) / 2))
