"""Values of a recording that several tables need, computed once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from gradlens.recording import Recording

Value = TypeVar("Value")


def remembered(measure: Callable[[Recording], Value]) -> Callable[[Recording], Value]:
    """Return the measure with a memory: it runs once per recording, and forgets recordings that are gone.

    All callers share the value, so none may change it.
    """
    values: dict[int, Value] = {}

    @wraps(measure)
    def recalled(recording: Recording) -> Value:
        key = id(recording)
        if key not in values:
            values[key] = measure(recording)
            weakref.finalize(recording, values.pop, key, None)
        return values[key]

    return recalled
