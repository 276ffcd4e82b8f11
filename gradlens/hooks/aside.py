"""Passes that gradlens runs beside those of a training; no watch counts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()


def is_aside() -> bool:
    """Return whether this thread runs such a pass."""
    return bool(getattr(_here, "aside", False))


@contextmanager
def aside() -> Iterator[None]:
    """Run the passes of the block aside."""
    before, _here.aside = is_aside(), True
    try:
        yield
    finally:
        _here.aside = before
