"""The costs of one training step, as counts by module path."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


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
    """

    samples: int
    flops: Counter[str] = field(default_factory=Counter)
    largest: list[int] = field(default_factory=list)
    traffic: Counter[str] = field(default_factory=Counter)
    traffic_bytes: Counter[str] = field(default_factory=Counter)
    saved_bytes: Counter[str] = field(default_factory=Counter)
    peak_bytes: int = 0
    parameters: dict[str, int] = field(default_factory=dict)
