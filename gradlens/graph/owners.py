"""The module call that created a node of the graph."""

from __future__ import annotations

from typing import NamedTuple


class Owner(NamedTuple):
    """A module call: path in the model (empty for the model itself) and the number of earlier calls."""

    module: str
    call: int


OUTSIDE = Owner("(loss)", 0)
"""Owner of nodes that are created outside the model's forward, such as the loss."""
