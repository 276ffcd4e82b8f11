"""The first sentence of a finding, and the others."""

from __future__ import annotations

from collections.abc import Sequence


def sentences(finding: str, networks: Sequence[str]) -> tuple[str, str]:
    """Split a finding after its first sentence; the name of a network may contain a period and a space.

    >>> sentences("B has less than A. In numbers: 0.11 less.", ["A", "B"])
    ('B has less than A.', 'In numbers: 0.11 less.')
    """
    masked = finding
    for name in sorted(networks, key=len, reverse=True):
        masked = masked.replace(name, "_" * len(name))
    stop = masked.find(". ")
    return (finding, "") if stop < 0 else (finding[: stop + 1], finding[stop + 2 :])
