"""Sentences about recurrences whose gradient vanishes or explodes along time."""

from __future__ import annotations

from gradlens.analyzers import diagnosis
from gradlens.analyzers.kinds import KINDS
from gradlens.recording import Recording
from gradlens.words.conspicuous import in_words

MOST = 2
"""Largest number of recurrences that a finding names."""


def along_time(recording: Recording) -> tuple[str, str]:
    """Return what to say about the recurrences that vanish or explode: without numbers, and in numbers.

    The first is a clause such as ``the gradient of cell.ih vanishes along time``, the second has sentences with a
    leading space. Both are empty if there are none.
    """
    rows = diagnosis.along_time(recording)
    if not rows:
        return "", ""
    left = len(rows) - MOST
    more = f" The table diagnosis has {left} more." if left > 0 else ""
    clause = f"the gradient of {rows[0]['place']} {KINDS[str(rows[0]['kind'])].words}"
    return clause, "".join(f" {row['place']} {in_words(row)}." for row in rows[:MOST]) + more
