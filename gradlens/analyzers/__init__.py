"""Recording → Table: an analyzer is a frozen dataclass of its parameters with ``__call__``.

A new analyzer is a class in a file of this folder and one entry in ``gradlens/catalogue/tables.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from gradlens.catalogue import TABLES, About
from gradlens.catalogue.named import named
from gradlens.recording import Recording
from gradlens.results import Table

Analyzer = Callable[[Recording], Table | None]


def _analyzer(entry: About) -> Analyzer:
    """Return the analyzer that the catalogue names, with its default parameters."""
    make = cast(Callable[[], Analyzer], named(f"{__name__}.{entry.analyzer}"))
    return make()


ANALYZERS: dict[str, Analyzer] = {
    entry.name: _analyzer(entry) for entry in TABLES if entry.analyzer and not entry.option
}
"""By table name; an analyzer returns None if the recording lacks the data for its table."""

ON_REQUEST: dict[str, Analyzer] = {
    entry.name: _analyzer(entry) for entry in TABLES if entry.analyzer and entry.option
}
"""Analyzers that take longer, by table name."""

__all__ = ["ANALYZERS", "ON_REQUEST", "Analyzer"]
