"""Errors, warnings, and suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GradlensError(Exception):
    """A request that cannot be met; the message states the value, the allowed values and what to do.

    The command line prints the message as one line and exits with 1.
    """


class ModelNote(UserWarning):
    """A remark on how a network was made that affects its numbers; results contain it."""


def close_matches(name: str, allowed: Iterable[str], limit: int = 5) -> str:
    """Return names similar to ``name`` as a clause for an error message; empty if there are none.

    >>> close_matches("resnet5O", ["resnet50", "vgg16"])
    '; did you mean resnet50?'
    """
    near = difflib.get_close_matches(name, list(allowed), n=limit, cutoff=0.6)
    return f"; did you mean {', '.join(near)}?" if near else ""
