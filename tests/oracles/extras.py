"""Optional libraries: tests are skipped without them, except where GRADLENS_EXTRAS=required."""

from __future__ import annotations

import importlib.util
import os

import pytest


def needs(library: str) -> None:
    """Skip the module of tests without the library.

    Raises:
        RuntimeError: it is missing and required.
    """
    if importlib.util.find_spec(library) is not None:
        return
    if os.environ.get("GRADLENS_EXTRAS") == "required":
        raise RuntimeError(f"{library} is required here and not installed")
    pytest.skip(f"{library} is not installed", allow_module_level=True)
