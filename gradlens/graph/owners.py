"""Which module call made a node of the graph."""

from __future__ import annotations

from typing import NamedTuple


class Owner(NamedTuple):
    """A module call: path in the model (empty for the model itself) and the number of earlier calls."""

    module: str
    call: int


OUTSIDE = Owner("(loss)", 0)
"""Owner of what runs outside the model's forward: the loss."""
