"""The costs of one training step, as counts by module path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from gradlens.graph.owners import Owner


@dataclass
class Costs:
    """Costs of one step on a batch, by module path.

    Attributes:
        samples: number of samples in the batch.
        flops: forward FLOPs of the batch (one multiply-add = 2).
        largest: FLOPs of each convolution and linear layer, of the batch.
        traffic: elements read and written by convolutions and poolings, of the batch.
        traffic_bytes: the same in bytes.
        saved_bytes: bytes of distinct storages kept for backward, without parameters.
        peak_bytes: largest number of bytes alive at once that the step allocated, forward and backward.
        parameters: elements of the parameters that each module holds itself.
        by_call: for each counter by name, the values of a module that is called several times, one per call.
    """

    samples: int
    flops: Counter[str] = field(default_factory=Counter)
    largest: list[int] = field(default_factory=list)
    traffic: Counter[str] = field(default_factory=Counter)
    traffic_bytes: Counter[str] = field(default_factory=Counter)
    saved_bytes: Counter[str] = field(default_factory=Counter)
    peak_bytes: int = 0
    parameters: dict[str, int] = field(default_factory=dict)
    by_call: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def add(self, counter: str, owner: Owner, value: int) -> None:
        """Add to a counter what one call of a module costs."""
        getattr(self, counter)[owner.module] += value
        values = self.by_call.setdefault(counter, {}).setdefault(owner.module, [])
        values.extend([0] * (owner.call + 1 - len(values)))
        values[owner.call] += value

    def keep_calls_of(self, modules: Collection[str]) -> None:
        """Drop the values by call of all other modules."""
        for values in self.by_call.values():
            for module in values.keys() - modules:
                del values[module]
