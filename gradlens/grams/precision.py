"""What is known only after a pass on an accelerator: a loss that is not finite, and energies that float32 lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gradlens.errors import GradlensError
from gradlens.grams.product import lossy
from gradlens.graph.probes import Probe

Array = NDArray[np.float64]


class PrecisionLostError(Exception):
    """Energies that float32 may have lost on an accelerator; the pass has to be repeated."""


class NotFiniteError(GradlensError):
    """A gradient is NaN or infinite.

    Attributes:
        probe: the first one that arrived.
        samples: the samples in which it is, of ``n``.
    """

    def __init__(self, probe: Probe, samples: list[int]) -> None:
        super().__init__(f"the gradient is not finite, first at {probe.name}")
        self.probe, self.samples = probe, samples


class LossNotFiniteError(Exception):
    """The loss on an accelerator, whose value is known only after the pass, is not finite."""


@dataclass(frozen=True)
class Precision:
    """Probes whose Grams float32 may lose, where nothing waits for their values (not on a CPU).

    Attributes:
        double: to be multiplied in float64.
        zero: whose gradient is exactly zero.
    """

    double: set[int] = field(default_factory=set)
    zero: set[int] = field(default_factory=set)

    def check(self, numbers: Sequence[int], grams: Mapping[int, Array]) -> None:
        """Raise if float32 may have lost an energy; the next pass multiplies it in float64.

        Args:
            numbers: probes whose Grams were computed in float32 on an accelerator, or in float64 here.
            grams: by probe, ``[n, n]``.

        Raises:
            PrecisionLostError: an energy is below ``TINY`` or not finite.
        """
        lost = set()
        for number in numbers:
            energies = np.diagonal(grams[number])
            if number in self.double:
                if not energies.any():
                    self.double.discard(number)
                    self.zero.add(number)
            elif lossy(energies) and (energies.any() or number not in self.zero):
                lost.add(number)
        if lost:
            self.double.update(lost)
            self.zero.difference_update(lost)
            raise PrecisionLostError
