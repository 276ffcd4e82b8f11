"""A cache for values of a recording that several tables need."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from gradlens.recording import Recording

Value = TypeVar("Value")


def cached_by_recording(measure: Callable[[Recording], Value]) -> Callable[[Recording], Value]:
    """Cache the values of a measure by recording; a value is dropped when its recording is deleted.

    All callers share the value, so they must not change it.
    """
    values: dict[int, Value] = {}

    @wraps(measure)
    def cached(recording: Recording) -> Value:
        key = id(recording)
        if key not in values:
            values[key] = measure(recording)
            weakref.finalize(recording, values.pop, key, None)
        return values[key]

    return cached
