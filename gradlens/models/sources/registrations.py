"""Names of the models that the libraries register, read from their source files: no library is loaded.

Reading takes a few hundredths of a second; importing the libraries takes several.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REGISTRATION = re.compile(
    r"^@register_model\b(\([^)]*\))?[^\n]*\n(?:(?!def )[^\n]*\n)*?def (\w+)", re.MULTILINE
)
NAME_OPTION = re.compile(r'name="(\w+)"')


def may_have(library: str, name: str, folder: str = "models") -> bool:
    """Return whether a library may have a model; it is loaded only to ask for a name that its files merely mention.

    Such a name may be an older one of a renamed model. A name that no file contains is of no model.

    Args:
        library: name of the package.
        name: of the model.
        folder: folder of the files that register models, below the package.

    Raises:
        ImportError: the library is not installed.
    """
    if name in registered(library, folder):
        return True
    if library not in _QUESTIONS:
        return False
    if library not in sys.modules and not re.search(
        rf"\b{re.escape(name)}\b", _sources(library, folder) or name
    ):
        return False
    return bool(_QUESTIONS[library](importlib.import_module(library), name))


def _has_timm(timm: Any, name: str) -> bool:
    return bool(timm.is_model(name))


_QUESTIONS: dict[str, Callable[[Any, str], bool]] = {"timm": _has_timm}
"""Libraries with names that their files do not register."""


@functools.cache
def registered(library: str, folder: str = "models") -> tuple[str, ...]:
    """Return the names that a library's files register; none if the library is not installed."""
    registrations = REGISTRATION.findall(_sources(library, folder))
    options = ((NAME_OPTION.search(options), function) for options, function in registrations)
    return tuple(name[1] if name else function for name, function in options)


@functools.cache
def _sources(library: str, folder: str = "models") -> str:
    """Return the text of a library's files that may register models; empty if they cannot be read."""
    return "\n".join(_texts(library, folder))


def _texts(library: str, folder: str) -> Iterator[str]:
    try:
        spec = importlib.util.find_spec(library)
    except (ImportError, ValueError):
        return
    for location in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(location, folder).glob("*.py")):
            yield file.read_text(encoding="utf-8", errors="replace")
