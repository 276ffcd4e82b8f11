"""The two spaces of gradients, and names of tables that a result has in both."""

from __future__ import annotations

SPACES = {"activations": "gradients at layers' outputs", "weights": "gradients of weights"}
SUFFIX = "_weights"
"""Ends the name of a table in weight space if the result has the same table in activation space."""


def kind(name: str) -> str:
    """The name of a table without its space.

    >>> kind("correlation_weights"), kind("correlation")
    ('correlation', 'correlation')
    """
    return name.removesuffix(SUFFIX)
