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

TORCHVISION = "torchvision:"
LIBRARIES = {"": "timm", TORCHVISION: "torchvision"}
"""Libraries by the prefix of their models' names."""

PELEENETS = {"peleenet": (3, 4, 8, 6), "peleenet_small": (2, 2, 4, 3)}
"""Depths of the models that gradlens has itself; the small one, with about half the layers, is not from the paper."""

REGISTRATION = re.compile(r"^@register_model\b(\([^)]*\))?[^\n]*\n(?:@[^\n]*\n)*def (\w+)", re.MULTILINE)
NAME_OPTION = re.compile(r'name="(\w+)"')


def registered_names() -> list[str]:
    """Return the names of ``gradlens.models.model_names`` without loading a library."""
    names = list(PELEENETS)
    for prefix, library in LIBRARIES.items():
        names += [prefix + name for name in _registered(library)]
    return sorted(names)


def may_have(library: str, name: str) -> bool:
    """Return whether a library may have a model; it is loaded only to ask for a name that its files merely mention.

    Such a name may be an older one of a renamed model. A name that no file contains is of no model.

    Raises:
        ImportError: the library is not installed.
    """
    if library not in sys.modules:
        text = _sources(library)
        if name in _registered(library):
            return True
        if text and not re.search(rf"\b{re.escape(name)}\b", text):
            return False
    return bool(_QUESTIONS[library](importlib.import_module(library), name))


def _has_timm(timm: Any, name: str) -> bool:
    return bool(timm.is_model(name))


def _has_torchvision(torchvision: Any, name: str) -> bool:
    return name in torchvision.models.list_models(module=torchvision.models)


_QUESTIONS: dict[str, Callable[[Any, str], bool]] = {"timm": _has_timm, "torchvision": _has_torchvision}


@functools.cache
def _registered(library: str) -> tuple[str, ...]:
    """Return the names that a library's files register; none if the library is not installed."""
    registrations = REGISTRATION.findall(_sources(library))
    options = ((NAME_OPTION.search(options), function) for options, function in registrations)
    return tuple(name[1] if name else function for name, function in options)


@functools.cache
def _sources(library: str) -> str:
    """Return the text of a library's files that may register models; empty if they cannot be read."""
    return "\n".join(_texts(library))


def _texts(library: str) -> Iterator[str]:
    try:
        spec = importlib.util.find_spec(library)
    except (ImportError, ValueError):
        return
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted((Path(folder) / "models").glob("*.py")):
            yield file.read_text(encoding="utf-8", errors="replace")
