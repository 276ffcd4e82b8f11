"""How the gradients of several losses agree, from the norms of weighted backward passes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gradlens.grams.accumulator import BatchGrams
from gradlens.grams.norms import PassNorms
from gradlens.metrics import Products, Weighted, further_weight, products
from gradlens.metrics.polarisation import LOST

Array = NDArray[np.float64]
MOST = 3
"""Largest number of backward passes for a pair of losses."""
TOLERANCE = 1e-3
"""Relative error of the sum of the losses' gradients above which it is wrong; float32 rounding stays below 1e-4."""

HALF = 2.0**-10
"""Relative error of a squared norm of half precision."""


@dataclass
class BatchLosses:
    """Statistics of the losses of one batch.

    Attributes:
        parts: Grams, inner products and errors of each loss, by name.
        values: of the losses, ``[k]``.
        products: by pair of losses, inner products of the gradients of each sample, ``[c, p, n]``; NaN if rounding
            hides them.
        mean_products: the same of the gradients summed over the samples, ``[c, p]``.
        errors: relative error of the sum of the losses' gradients against the gradient of their sum, ``[p]``.
    """

    parts: Mapping[str, BatchGrams]
    values: Array
    products: Array
    mean_products: Array
    errors: Array


@dataclass
class Agreement:
    """Collects the norms of the backward passes of one batch.

    Attributes:
        singles: norms of the gradient of each loss.
        total: norms of the gradient of the sum.
        pairs: by pair of losses, the weight of the second loss and the norms of the weighted sum.
    """

    singles: Sequence[PassNorms]
    total: PassNorms
    pairs: dict[tuple[int, int], list[tuple[float, PassNorms]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pair in itertools.combinations(range(len(self.singles)), 2):
            self.pairs[pair] = [(1.0, self.total)] if len(self.singles) == 2 else []

    def wanted(self) -> Iterator[tuple[int, int, float]]:
        """Yield the further backward passes (first loss, second loss, its weight); ``add`` takes their norms."""
        for a, b in self.pairs:
            while len(self.pairs[a, b]) < MOST:
                first, second = self.singles[a].samples, self.singles[b].samples
                weight = further_weight(first, second, self._of_samples(a, b))
                if weight is None:
                    break
                yield a, b, weight

    def add(self, a: int, b: int, weight: float, norms: PassNorms) -> None:
        """Take the norms of the pass of ``a + weight · b``."""
        self.pairs[a, b].append((weight, norms))

    def of_samples(self) -> Array:
        """Return the inner products of the gradients of each sample, ``[c, p, n]``."""
        return np.stack([self._of_samples(a, b).values for a, b in self.pairs])

    def of_sums(self) -> Array:
        """Return the inner products of the gradients summed over the samples, ``[c, p]``."""
        return np.stack([self._of_sums(a, b) for a, b in self.pairs])

    def errors(self) -> Array:
        """Return the relative error of the sum of the losses' gradients, ``[p]``; 0 where all are zero."""
        difference = np.abs(sum(single.functionals for single in self.singles) - self.total.functionals)
        sizes = np.sqrt(np.stack([_energies(norms) for norms in (*self.singles, self.total)])).max(axis=0)
        return np.asarray(np.divide(difference, sizes, out=np.array(difference), where=sizes > 0))

    def _of_samples(self, a: int, b: int) -> Products:
        passes = [Weighted(weight, norms.samples) for weight, norms in self.pairs[a, b]]
        first, second = self.singles[a], self.singles[b]
        return products(first.samples, second.samples, passes, self._precision)

    def _of_sums(self, a: int, b: int) -> Array:
        passes = [Weighted(weight, norms.sums) for weight, norms in self.pairs[a, b]]
        first, second = self.singles[a], self.singles[b]
        lost = [_cancelled(norms, self._precision) for norms in (first, second)]
        values = products(first.sums, second.sums, passes, self._precision).values
        return np.where(lost[0] | lost[1], np.nan, values)

    @property
    def _precision(self) -> float:
        """Relative error of a squared norm; errors of half precision average out over the features."""
        return min(2 * max(norms.eps for norms in (*self.singles, self.total)), HALF)


def _energies(norms: PassNorms) -> Array:
    """Return the energy of each gradient ``[p]``; without an axis of samples, the square of its functional."""
    energies = norms.samples.sum(axis=1)
    return np.where(np.isnan(energies), norms.functionals**2, energies)


def _cancelled(norms: PassNorms, precision: float) -> NDArray[np.bool_]:
    """Return where the gradients of the samples cancel in their sum up to rounding."""
    with np.errstate(invalid="ignore"):
        smallest = (precision / LOST) ** 2 * norms.samples.sum(axis=1)
        return np.asarray((norms.sums > 0) & (norms.sums < smallest))
