"""The memory that is free on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

SYSTEM = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int | None:
    """Return how many bytes this process may still use; None if the system does not tell.

    It is the smaller of what the machine has left, swap included, and of what its control group may use.
    """
    return min(_free(), default=None)


def _free() -> Iterator[int]:
    try:
        lines = (line.split() for line in SYSTEM.read_text().splitlines())
        sizes = {words[0]: int(words[1]) * 1024 for words in lines if len(words) > 1}
        yield sizes["MemAvailable:"] + sizes.get("SwapFree:", 0)
    except (OSError, ValueError, LookupError):
        try:
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):
            return
    try:
        yield int((GROUP / "memory.max").read_text()) - int((GROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no group, or one without a limit
        return
