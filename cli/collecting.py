"""Python's collection of reference cycles, paused where a command makes much that stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from .progress import Progress


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the collection in a block, and leave what was made in it out of later ones.

    Libraries and figures are hundreds of thousands of objects that stay. Each collection, and the end of the process,
    walks over all of them and frees none: a third of the time of importing timm.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        resume()


def resume() -> None:
    """Collect again, but none of the objects that exist now."""
    gc.freeze()
    gc.enable()


def resuming(progress: Progress) -> Progress:
    """Return the same callback, which ends the pause at the first report: all libraries are imported by then."""

    def advance(what: str, done: int, total: int) -> None:
        if not gc.isenabled():
            resume()
        progress(what, done, total)

    return advance
