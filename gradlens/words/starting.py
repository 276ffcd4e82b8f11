"""A line about gains that start at zero."""

from __future__ import annotations

from collections.abc import Sequence

from gradlens.recording import Recording

REMEDIES = ("zero_init=False sets them to one", "zero_init=True keeps them")
"""What to do if the gains were kept, and if they were set to one."""
SHOWN = 3
"""Largest number of networks that the line names."""


def started(recordings: Sequence[Recording]) -> list[str]:
    """Return what became of the gains that the libraries initialise with zero: one line; none without such gains.

    Args:
        recordings: of the networks side by side.
    """
    lines: dict[tuple[str, str], list[str]] = {}
    for recording in recordings:
        provenance = recording.provenance
        if provenance.start:
            remedy = REMEDIES[not provenance.zero_init]
            lines.setdefault((provenance.start, remedy), []).append(recording.name)
    return [f"{start}{_where(names, len(recordings))}; {remedy}" for (start, remedy), names in lines.items()]


def is_about_start(text: str) -> bool:
    """Return whether a line of a result is one of these: a note, while the others are warnings."""
    return text.endswith(REMEDIES)


def _where(names: Sequence[str], count: int) -> str:
    """Return the networks of a line; empty if it is about the only one.

    >>> _where(["a", "b"], 3), _where(["a"], 1), _where(list("abcd"), 6)
    (' in a, b', '', ' in 4 of 6 networks')
    """
    if count == 1:
        return ""
    return f" in {', '.join(names)}" if len(names) <= SHOWN else f" in {len(names)} of {count} networks"
