"""Plain values that hold results: Table and Result, and the format of their files. No torch.

The names load on first use: ``gradlens.results.documents`` is needed where pandas would be slow to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlens.results.result import Result, Table, load

__all__ = ["Result", "Table", "load"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gradlens.results' has no attribute {name!r}")
    from gradlens.results import result

    return getattr(result, name)
