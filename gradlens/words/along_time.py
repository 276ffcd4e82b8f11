"""Sentences about recurrences whose gradient vanishes or explodes along time."""

from __future__ import annotations

from gradlens.analyzers.diagnosis import Diagnosis
from gradlens.recording import Recording
from gradlens.words.conspicuous import ALONG_TIME, in_words

MOST = 2
"""Largest number of recurrences that a finding names."""


def along_time(recording: Recording) -> str:
    """Return sentences about the recurrences that vanish or explode, with a leading space; empty if none does."""
    if not recording.plan.series:
        return ""
    table = Diagnosis()(recording)
    frame = None if table is None else table.frame
    rows = [] if frame is None else frame[frame["kind"].isin(ALONG_TIME)].to_dict("records")
    sentences = [f" {row['place']} {in_words(row)}." for row in rows[:MOST]]
    left = len(rows) - len(sentences)
    return "".join(sentences) + (f" The table diagnosis has {left} more." if left else "")
