"""Objects that the catalogue names: an entry is loaded without the module that it refers to."""

from __future__ import annotations

from importlib import import_module


def named(path: str) -> object:
    """Return the object with this dotted name; its module is imported.

    >>> named("gradlens.catalogue.versions.ENERGY").label
    'energy'
    """
    module, _, name = path.rpartition(".")
    value: object = getattr(import_module(module), name)
    return value
