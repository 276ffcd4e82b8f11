"""Names of tables that a result holds in two spaces."""

from __future__ import annotations

SPACES = {"activations": "gradients at layers' outputs", "weights": "gradients of weights"}
SUFFIX = "_weights"
"""Ends the name of a table in weight space where the same is there of the gradients at layers' outputs."""


def kind(name: str) -> str:
    """The name of a table without the space it is of.

    >>> kind("correlation_weights"), kind("correlation")
    ('correlation', 'correlation')
    """
    return name.removesuffix(SUFFIX)
