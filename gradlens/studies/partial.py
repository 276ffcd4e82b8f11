"""The result of an interrupted run."""

from __future__ import annotations

from dataclasses import replace

from gradlens.results import Result


def interrupted(result: Result, finished: str) -> Result:
    """Mark a result as partial, in its metadata and at the start of its finding.

    Args:
        result: of the finished part.
        finished: what was finished: ``3 of 12 batches``.
    """
    finding = f"Partial ({finished}, then interrupted): {result.finding}"
    return replace(result, finding=finding).with_meta(partial=True)
