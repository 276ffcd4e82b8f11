"""The format of a saved result: readable versions, and upgrades from older ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gradlens.errors import GradlensError

Document = dict[str, Any]
"""A decoded JSON file."""

FORMAT = 2
"""The version that is written. Increase it if an older gradlens would misread a new document."""


def _with_raw_duplication(document: Document) -> Document:
    """Return a document of format 1 as it is: its comparisons keep their raw duplication.

    Since format 2 a comparison has rarefied duplication instead, which cannot be computed from saved tables.
    """
    return document


UPGRADES: dict[int, Callable[[Document], Document]] = {1: _with_raw_duplication}
"""Functions that upgrade a document of a version to the next; older versions cannot be read."""


def require_readable(document: object) -> int:
    """Return the version of a document.

    Raises:
        GradlensError: it has no version, or a version that is too new or too old.
    """
    version = document.get("format") if isinstance(document, Mapping) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise GradlensError("it has no format version, so gradlens did not write it; run the command again")
    if version > FORMAT:
        raise GradlensError(f"it has format {version}, this gradlens reads up to {FORMAT}; update gradlens")
    oldest = FORMAT
    while oldest - 1 in UPGRADES:
        oldest -= 1
    if version < oldest:
        raise GradlensError(
            f"it has format {version}, this gradlens reads {oldest} to {FORMAT}; open it with the gradlens that wrote"
            " it, or run the command again"
        )
    return version


def upgraded(document: Document) -> Document:
    """Return a document of any readable version as one of ``FORMAT``.

    Raises:
        GradlensError: as for ``require_readable``.
    """
    for version in range(require_readable(document), FORMAT):
        document = {**UPGRADES[version](document), "format": version + 1}
    return document
