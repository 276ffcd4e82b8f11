"""Why a signal is exactly zero, as a recording keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

ZERO_GAIN = "zero gain"
"""A normalisation whose weight is zero."""
ZERO_SCALE = "zero scale"
"""A product with a parameter that is zero, such as a layer scale."""
ZERO_WEIGHT = "zero weight"
"""A layer whose weight is zero."""
SHUT = "shut"
"""An activation that passes no gradient for any sample, such as a ReLU whose output is zero."""
UNREACHED = "unreached"
"""What follows reads other values, or the loss passes nothing on."""
INPUT = "input"
"""In weight space, a layer whose input is zero."""
FACTOR = "factor"
"""A product with another tensor that is zero, such as a gate that is closed or what it gates."""
CANCELLED = "cancelled"
"""Contributions that are not zero, whose sum is; or a hook that sets it to zero."""
OTHER = "other"
"""Another operation, where the gradient becomes zero."""


class Cause(NamedTuple):
    """Where the gradient of a dead signal ends.

    Attributes:
        kind: one of the constants of this module.
        layer: module, parameter or site that ends it.
    """

    kind: str
    layer: str


Causes = Mapping[str, Sequence[Cause]]
"""By name of a dead signal, where its gradient ends."""


def read_causes(document: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, tuple[Cause, ...]]:
    """Return the causes in the ``meta`` of a recording, whose tuples a file stores as lists."""
    return {name: tuple(Cause(*map(str, cause)) for cause in causes) for name, causes in document.items()}
