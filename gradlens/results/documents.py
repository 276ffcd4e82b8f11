"""The format of a saved result: which versions are read, and how an older one becomes this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gradlens.errors import GradlensError

FORMAT = 1
"""The version that is written. Raise it where an older gradlens would misread what is new."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By version, what makes a document of it one of the next. A version without an entry is no longer read."""


def require_readable(document: Mapping[str, Any]) -> int:
    """The version of a document that this gradlens reads.

    Raises:
        GradlensError: it has none, or is too new or too old.
    """
    version = document.get("format") if isinstance(document, Mapping) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise GradlensError("it says no format version, so gradlens did not write it; run the command again")
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


def upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """A document of any readable version as one of ``FORMAT``.

    Raises:
        GradlensError: as for ``require_readable``.
    """
    for version in range(require_readable(document), FORMAT):
        document = {**UPGRADES[version](document), "format": version + 1}
    return document
