"""Optional libraries: tests are skipped without them, except where GRADLENS_EXTRAS=required."""

from __future__ import annotations

import importlib.util
import os

import pytest


def needs(*libraries: str) -> None:
    """Skip a test, or the module of tests, without the libraries; such tests have the marker ``extra``.

    Raises:
        RuntimeError: one is missing and required.
    """
    missing = ", ".join(library for library in libraries if importlib.util.find_spec(library) is None)
    if not missing:
        return
    if os.environ.get("GRADLENS_EXTRAS") == "required":
        raise RuntimeError(f"required here and not installed: {missing}")
    pytest.skip(f"not installed: {missing}", allow_module_level=True)
