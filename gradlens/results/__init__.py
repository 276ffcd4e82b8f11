"""Tables and results as plain values, and the format of their files. No torch.

The names load on first use: the command line needs ``gradlens.results.documents`` without the slow import of pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradlens.results.result import Result, load
    from gradlens.results.table import Table

__all__ = ["Result", "Table", "load"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gradlens.results' has no attribute {name!r}")
    from gradlens.results import result

    return getattr(result, name)
