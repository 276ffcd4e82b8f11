"""The result of an interrupted run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from gradlens.results import Result

Value = TypeVar("Value")


def interrupted(result: Result, finished: str) -> Result:
    """Mark a result as partial, in its metadata and at the start of its finding.

    Args:
        result: of the finished part.
        finished: what was finished: ``3 of 12 batches``.
    """
    finding = f"Partial ({finished}, then interrupted): {result.finding}"
    return replace(result, finding=finding).with_meta(partial=True)


def needed(compute: Callable[[], Value], left_out: list[str] | None) -> Value:
    """Return a table without which there is no result; Ctrl-C during it leaves out the tables behind it.

    Args:
        compute: computes it; it is called again after Ctrl-C.
        left_out: receives an entry after Ctrl-C; None if Ctrl-C ends the analysis.
    """
    try:
        return compute()
    except KeyboardInterrupt:
        if left_out is None:
            raise
        left_out.append("")
        return compute()


def without(left_out: Sequence[str]) -> str:
    """Return which tables are missing, for ``interrupted``.

    >>> without(["", "paths", "cross"]), without(["paths"])
    ('without 2 tables', 'without the table paths')
    """
    names = [name for name in left_out if name]
    return f"without the table {names[0]}" if len(names) == 1 else f"without {len(names)} tables"
