"""Tables and results as plain values, and the format of their files. No torch.

The names load on first use: the command line needs ``gradlens.results.documents`` without the slow import of pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlens.exports import exports

if TYPE_CHECKING:
    from gradlens.results.result import Result, load
    from gradlens.results.table import Table

__all__ = ["Result", "Table", "load"]

__getattr__ = exports(__name__, {"Result": "result", "Table": "table", "load": "result"})
