"""What gradlens says when it cannot do what was asked."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GradlensError(Exception):
    """A request that cannot be met: what was given, what is allowed, what to do.

    The command line prints the message as one line and exits with 1.
    """


class ModelNote(UserWarning):
    """What a reader of the numbers must know of how a network was made; it stands in the result."""


def close_matches(given: str, allowed: Iterable[str], limit: int = 5) -> str:
    """Names near ``given`` as a clause for an error message, or an empty string.

    >>> close_matches("resnet5O", ["resnet50", "vgg16"])
    '; did you mean resnet50?'
    """
    near = difflib.get_close_matches(given, list(allowed), n=limit, cutoff=0.6)
    return f"; did you mean {', '.join(near)}?" if near else ""
